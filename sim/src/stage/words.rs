//! From words to steps. The grammar is told in [`super`]; here is one function for each of its parts.

use std::ops::RangeInclusive;

use vr::ReplicaId;

use super::{Ask, Cast, Condition, Found, PATIENCE, Position, Rule, Status, Step, Treatment, Which};
use crate::client_slot::Way;
use crate::node::Node;
use crate::packet::Kind;

/// Where the word is that does not fit, and what is wrong with it.
type Refused = (usize, String);

/// The longest time that may be named, in nanoseconds: an hour.
const LONGEST: u64 = 3_600 * SECOND;
const SECOND: u64 = 1_000_000_000;

/// The most requests of one sentence.
const ASKS_MAX: u64 = 100_000;

const BEGINNINGS: &str = "expected a client (c0, …), crash, restart, pause, resume, time out, the clock of, \
                          partition, hold, drop, copy, deliver, lose, release, heal, reconfigure, warm up, wait, \
                          until or expect";
const CONDITIONS: &str = "expected a replica (r0, …), a client (c0, …), `every replica`, `every client`, \
                          `a new primary is normal` or a kind of message";
const STATUSES: [(&str, Status); 10] = [
    ("normal", Status::Normal),
    ("primary", Status::Primary),
    ("backup", Status::Backup),
    ("witness", Status::Witness),
    ("recovering", Status::Recovering),
    ("changing views", Status::ChangingViews),
    ("fetching state", Status::FetchingState),
    ("no member", Status::NoMember),
    ("stopped", Status::Stopped),
    ("down", Status::Down),
];

/// The step that a sentence tells of.
pub(super) fn step(sentence: &str, cast: Cast) -> Result<Step, Refused> {
    let mut words = Words::new(sentence, cast);
    let step = words.step()?;
    words.end()?;
    Ok(step)
}

/// A sentence as far as it has been read.
struct Words<'a> {
    sentence: &'a str,
    /// Each with the place where it begins; a comma is a word.
    words: Vec<(usize, &'a str)>,
    next: usize,
    cast: Cast,
}

impl<'a> Words<'a> {
    fn new(sentence: &'a str, cast: Cast) -> Self {
        let mut words = Vec::new();
        for word in sentence.split_whitespace() {
            let at = word.as_ptr() as usize - sentence.as_ptr() as usize;
            let bare = word.trim_end_matches(',');
            words.extend((!bare.is_empty()).then_some((at, bare)));
            words.extend((bare.len()..word.len()).map(|comma| (at + comma, ",")));
        }
        Self { sentence, words, next: 0, cast }
    }

    // ---- Words -----------------------------------------------------------------------------------

    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.next).map(|(_, word)| *word)
    }

    /// Reads these words if they are the next ones.
    fn takes(&mut self, text: &str) -> bool {
        let count = text.split(' ').count();
        let found = self.words.iter().skip(self.next).take(count).map(|(_, word)| *word);
        let is_there = found.eq(text.split(' '));
        self.next += if is_there { count } else { 0 };
        is_there
    }

    fn demand(&mut self, text: &str) -> Result<(), Refused> {
        if self.takes(text) { Ok(()) } else { Err(self.refuse(format!("expected `{text}`"))) }
    }

    fn end(&self) -> Result<(), Refused> {
        self.peek().map_or(Ok(()), |_| Err(self.refuse("expected the end of the step")))
    }

    /// Refuses the next word.
    fn refuse(&self, expected: impl AsRef<str>) -> Refused {
        let expected = expected.as_ref();
        match self.words.get(self.next) {
            Some((at, word)) => (*at, format!("`{word}`: {expected}")),
            None => (self.sentence.len(), format!("the step ends here: {expected}")),
        }
    }

    /// Reads the next word as what `read` takes it for.
    fn read<T>(&mut self, expected: &str, read: impl Fn(&str) -> Option<T>) -> Result<T, Refused> {
        let value = self.peek().and_then(read).ok_or_else(|| self.refuse(expected))?;
        self.next += 1;
        Ok(value)
    }

    /// Reads `one`, `one and another`, or `one, another and a third`.
    fn list<T>(&mut self, one: impl Fn(&mut Self) -> Result<T, Refused>) -> Result<Vec<T>, Refused> {
        let mut items = vec![one(self)?];
        // A comma may also lead over to a bound.
        let bound = |words: &Self| words.words.get(words.next + 1).is_some_and(|(_, word)| *word == "within");
        while self.takes("and") || (!bound(self) && self.takes(",")) {
            items.push(one(self)?);
        }
        Ok(items)
    }

    // ---- Names and numbers -----------------------------------------------------------------------

    fn node(&mut self) -> Result<Node, Refused> {
        let Cast { replicas, clients } = self.cast;
        let is_there = |node: &Node| match node {
            Node::Replica(id) => id.0 < replicas,
            Node::Client(slot) => *slot < clients,
        };
        let expected = format!("expected one of {replicas} replicas (r0, …) and {clients} clients (c0, …)");
        self.read(&expected, |word| word.parse().ok().filter(is_there))
    }

    fn replica(&mut self) -> Result<ReplicaId, Refused> {
        let expected = format!("expected one of {} replicas (r0, …)", self.cast.replicas);
        match self.node() {
            Ok(Node::Replica(id)) => Ok(id),
            Ok(Node::Client(_)) => {
                self.next -= 1;
                Err(self.refuse(expected))
            }
            Err(_) => Err(self.refuse(expected)),
        }
    }

    fn client(&mut self) -> Result<u16, Refused> {
        let expected = format!("expected one of {} clients (c0, …)", self.cast.clients);
        match self.node() {
            Ok(Node::Client(slot)) => Ok(slot),
            Ok(Node::Replica(_)) => {
                self.next -= 1;
                Err(self.refuse(expected))
            }
            Err(_) => Err(self.refuse(expected)),
        }
    }

    fn number(&mut self, allowed: RangeInclusive<u64>) -> Result<u64, Refused> {
        let expected = format!("expected a number from {} to {}", allowed.start(), allowed.end());
        self.read(&expected, |word| word.parse().ok().filter(|number| allowed.contains(number)))
    }

    fn duration(&mut self) -> Result<u64, Refused> {
        let number = self.number(1..=3_600_000_000)?;
        let unit = self.read("expected a unit of time: us, ms or s", |word| match word {
            "us" => Some(1_000),
            "ms" => Some(1_000_000),
            "s" => Some(SECOND),
            _ => None,
        })?;
        if number > LONGEST / unit {
            self.next -= 2;
            return Err(self.refuse("expected an hour at most"));
        }
        Ok(number * unit)
    }

    fn key(&mut self) -> Result<u64, Refused> {
        self.read("expected a key: a to z", key)
    }

    /// Reads `a=1`.
    fn pair(&mut self) -> Result<(u64, u64), Refused> {
        self.read("expected a key and a number, as in a=1", |word| {
            let (name, element) = word.split_once('=')?;
            Some((key(name)?, element.parse().ok()?))
        })
    }

    // ---- Steps -----------------------------------------------------------------------------------

    fn step(&mut self) -> Result<Step, Refused> {
        if self.peek().is_some_and(|word| matches!(word.parse(), Ok(Node::Client(_)))) {
            return self.request();
        }
        let treatment =
            |words: &mut Self, treatment| Ok(Step::Rule(Rule { treatment, which: words.messages()? }));
        Ok(match self.peek() {
            _ if self.takes("crash") => Step::Crash(self.list(Self::replica)?),
            _ if self.takes("restart") => Step::Restart(self.list(Self::replica)?),
            _ if self.takes("pause") => Step::Pause(self.list(Self::node)?),
            _ if self.takes("resume") => Step::Resume(self.list(Self::node)?),
            _ if self.takes("time out") => Step::TimeOut(self.list(Self::replica)?),
            _ if self.takes("the clock of") || self.takes("the clocks of") => return self.rate(),
            _ if self.takes("partition") => return self.partition(),
            _ if self.takes("hold") => return treatment(self, Treatment::Hold),
            _ if self.takes("drop") => return treatment(self, Treatment::Drop),
            _ if self.takes("copy") => return treatment(self, Treatment::Copy),
            _ if self.takes("deliver") => Step::Deliver(self.messages()?),
            _ if self.takes("lose") => Step::Lose(self.messages()?),
            _ if self.takes("release") => Step::Release(self.messages()?),
            _ if self.takes("heal") => Step::Heal,
            _ if self.takes("reconfigure to") => return self.reconfiguration(),
            _ if self.takes("warm up") => Step::WarmUp(self.list(Self::replica)?),
            _ if self.takes("wait") => Step::Wait(self.duration()?),
            _ if self.takes("until") => Step::Until(self.condition()?, self.bound()?),
            _ if self.takes("expect") => Step::Expect(self.condition()?),
            _ => return Err(self.refuse(BEGINNINGS)),
        })
    }

    fn request(&mut self) -> Result<Step, Refused> {
        let client = self.client()?;
        let ask = match self.peek() {
            _ if self.takes("starts over") => return Ok(Step::StartOver(client)),
            _ if self.takes("puts") => return Ok(Step::Ask(client, self.puts()?, None)),
            _ if self.takes("reads") => return self.read_without_log(client),
            _ if self.takes("gets") => Ask::Get { key: self.key()? },
            _ if self.takes("deletes") => Ask::Delete { key: self.key()? },
            _ if self.takes("appends") => {
                let (key, element) = self.pair()?;
                Ask::Append { key, element }
            }
            _ => return Err(self.refuse("expected puts, appends, gets, reads, deletes or starts over")),
        };
        Ok(Step::Ask(client, vec![ask], None))
    }

    fn read_without_log(&mut self, client: u16) -> Result<Step, Refused> {
        let ask = Ask::Get { key: self.key()? };
        let way = if self.takes("at") { Way::Causal { from: self.replica()?.0 } } else { Way::Fast };
        Ok(Step::Ask(client, vec![ask], Some(way)))
    }

    fn rate(&mut self) -> Result<Step, Refused> {
        let nodes = self.list(Self::node)?;
        if !self.takes("runs") && !self.takes("run") {
            return Err(self.refuse("expected `runs`"));
        }
        let percent = self.number(0..=90)? as i32;
        self.demand("percent")?;
        let direction = self.read("expected `fast` or `slow`", |word| match word {
            "fast" => Some(1),
            "slow" => Some(-1),
            _ => None,
        })?;
        Ok(Step::SetRate(nodes, direction * percent * 10_000))
    }

    fn reconfiguration(&mut self) -> Result<Step, Refused> {
        let members = self.list(Self::replica)?;
        let is_told = self.takes("with witness") || self.takes("with witnesses");
        let member = |words: &mut Self| {
            let replica = words.replica()?;
            words.next -= usize::from(!members.contains(&replica));
            let refused = || words.refuse("expected one of the members");
            members.contains(&replica).then_some(replica).ok_or_else(refused)
        };
        let witnesses = if is_told { Some(self.list(member)?) } else { None };
        Ok(Step::Reconfigure { members, witnesses })
    }

    fn puts(&mut self) -> Result<Vec<Ask>, Refused> {
        let (key, first) = self.pair()?;
        let last = if self.takes("to") { self.pair()? } else { (key, first) };
        if last.0 != key || last.1 < first || last.1 - first >= ASKS_MAX {
            self.next -= 1;
            return Err(
                self.refuse(format!("expected the same key, and at most {ASKS_MAX} numbers, upwards"))
            );
        }
        Ok((first..=last.1).map(|element| Ask::Put { key, element }).collect())
    }

    fn partition(&mut self) -> Result<Step, Refused> {
        let ones = self.list(Self::replica)?;
        self.demand("from")?;
        if self.takes("the rest") {
            let rest = self.cast.replicas().filter(|id| !ones.contains(id)).collect();
            return Ok(Step::Partition(ones, rest));
        }
        let is_new = |words: &mut Self| {
            let replica = words.replica()?;
            words.next -= usize::from(ones.contains(&replica));
            let refused = || words.refuse("expected a replica of the other side, or `the rest`");
            let accepted = !ones.contains(&replica);
            accepted.then_some(replica).ok_or_else(refused)
        };
        let others = self.list(is_new)?;
        Ok(Step::Partition(ones, others))
    }

    fn bound(&mut self) -> Result<u64, Refused> {
        if self.takes(",") {
            self.demand("within")?;
            return self.duration();
        }
        Ok(PATIENCE)
    }

    // ---- Messages --------------------------------------------------------------------------------

    fn messages(&mut self) -> Result<Which, Refused> {
        let kinds = if self.takes("everything") {
            None
        } else {
            self.takes("every");
            Some(self.list(Self::kind)?)
        };
        // In the place of a view, requests name their session.
        let are_requests = kinds.as_deref() == Some(&[Kind::Request]);
        let is_told = are_requests && self.takes("of session");
        let session = if is_told { Some(self.number(0..=u64::MAX)?) } else { None };
        self.demand("from")?;
        let from = self.ends()?;
        self.demand("to")?;
        let to = self.ends()?;
        Ok(Which { kinds, from, to, view: if is_told { session } else { self.view()? } })
    }

    fn kind(&mut self) -> Result<Kind, Refused> {
        let names: Vec<_> = Kind::ALL.iter().map(|kind| format!("{kind:?}")).collect();
        let expected = format!("expected everything, or a kind of message: {}", names.join(", "));
        let named = |word: &str| names.iter().position(|name| name == word).map(|index| Kind::ALL[index]);
        self.read(&expected, named)
    }

    fn ends(&mut self) -> Result<Option<Vec<Node>>, Refused> {
        if self.takes("anyone") { Ok(None) } else { self.list(Self::node).map(Some) }
    }

    fn view(&mut self) -> Result<Option<u64>, Refused> {
        if self.takes("in view") { self.number(0..=u64::MAX).map(Some) } else { Ok(None) }
    }

    // ---- Conditions ------------------------------------------------------------------------------

    fn condition(&mut self) -> Result<Condition, Refused> {
        if self.takes("a new primary is normal") {
            return Ok(Condition::NewPrimary);
        }
        if self.takes("the reconfiguration is complete") {
            return Ok(Condition::Reconfigured);
        }
        if self.takes("every replica") {
            let all = self.cast.replicas().collect();
            return self.about_replicas(all, true);
        }
        if self.takes("every client") {
            return self.about_clients((0..self.cast.clients).collect());
        }
        match self.peek().map(str::parse) {
            Some(Ok(Node::Replica(_))) => {
                let replicas = self.list(Self::replica)?;
                self.about_replicas(replicas, false)
            }
            Some(Ok(Node::Client(_))) => {
                let clients = self.list(Self::client)?;
                self.about_clients(clients)
            }
            Some(Err(_)) if self.peek().is_some_and(is_message) => {
                let which = self.messages()?;
                self.demand("is kept")?;
                Ok(Condition::IsKept(which))
            }
            _ => Err(self.refuse(CONDITIONS)),
        }
    }

    fn about_replicas(&mut self, replicas: Vec<ReplicaId>, are_all: bool) -> Result<Condition, Refused> {
        if (are_all && self.takes("holds the same state")) || (!are_all && self.takes("hold the same state"))
        {
            return Ok(Condition::SameState(replicas));
        }
        if self.takes("has stopped") || self.takes("have stopped") {
            return Ok(Condition::Is(replicas, Status::Stopped, None));
        }
        if self.takes("has epoch") || self.takes("have epoch") {
            return Ok(Condition::InEpoch(replicas, self.number(0..=u64::from(u16::MAX))?));
        }
        if let [replica] = replicas[..]
            && self.takes("redirected")
        {
            return Ok(Condition::Redirected(replica, self.client()?));
        }
        if self.takes("has") || self.takes("have") {
            return Ok(Condition::Has(replicas, self.position()?));
        }
        if !self.takes("is") && !self.takes("are") {
            return Err(self.refuse(
                "expected is, are, has, have, or `redirected` of one replica, or `holds the same state` of every replica",
            ));
        }
        let status = STATUSES.iter().find(|(name, _)| self.takes(name));
        let names = || STATUSES.map(|(name, _)| name).join(", ");
        let (_, status) = status.ok_or_else(|| self.refuse(format!("expected one of {}", names())))?;
        Ok(Condition::Is(replicas, *status, self.view()?))
    }

    fn position(&mut self) -> Result<Position, Refused> {
        let is_committed = self.read("expected op-number or commit-number", |word| match word {
            "op-number" => Some(false),
            "commit-number" => Some(true),
            _ => None,
        })?;
        let number = self.number(0..=u64::MAX)?;
        Ok(Position { is_committed, number, or_more: self.takes("or more") })
    }

    fn about_clients(&mut self, clients: Vec<u16>) -> Result<Condition, Refused> {
        if self.takes("is registered") || self.takes("are registered") {
            return Ok(Condition::Registered(clients));
        }
        if self.takes("is answered") || self.takes("are answered") {
            return Ok(Condition::Answered(clients));
        }
        let expected = "expected `is registered`, `is answered`, or of one client: waits, got, \
                        or `was sent the same answer again`";
        let [client] = clients[..] else { return Err(self.refuse(expected)) };
        Ok(match self.peek() {
            _ if self.takes("waits") => Condition::Waits(client),
            _ if self.takes("got nothing") => Condition::Got(client, Found::Nothing),
            _ if self.takes("got") => {
                let (key, element) = self.pair()?;
                Condition::Got(client, Found::Element { key, element })
            }
            _ if self.takes("was sent the same answer again") => Condition::SameAnswerAgain(client),
            _ => return Err(self.refuse(expected)),
        })
    }
}

fn key(name: &str) -> Option<u64> {
    match name.as_bytes() {
        [letter @ b'a'..=b'z'] => Some(u64::from(letter - b'a')),
        _ => None,
    }
}

/// Whether words about messages may begin so.
fn is_message(word: &str) -> bool {
    matches!(word, "everything" | "every") || Kind::ALL.iter().any(|kind| format!("{kind:?}") == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAST: Cast = Cast { replicas: 3, clients: 2 };

    fn refused(sentence: &str) -> Refused {
        step(sentence, CAST).expect_err(sentence)
    }

    #[test]
    fn sentences_mean_what_they_say() {
        let r = |ids: &[u8]| ids.iter().copied().map(ReplicaId).collect::<Vec<_>>();
        let told = |sentence| step(sentence, CAST).expect(sentence);
        assert_eq!(told("crash r0, r1 and r2"), Step::Crash(r(&[0, 1, 2])));
        assert_eq!(told("partition r1 from the rest"), Step::Partition(r(&[1]), r(&[0, 2])));
        let asks = [3, 4, 5].map(|element| Ask::Put { key: 1, element });
        assert_eq!(told("c1 puts b=3 to b=5"), Step::Ask(1, asks.to_vec(), None));
        let read = |way| Step::Ask(0, vec![Ask::Get { key: 2 }], Some(way));
        assert_eq!(told("c0 reads c"), read(Way::Fast));
        assert_eq!(told("c0 reads c at r2"), read(Way::Causal { from: 2 }));
        let slow = vec![Node::Replica(ReplicaId(1)), Node::Client(0)];
        assert_eq!(told("the clocks of r1 and c0 run 20 percent slow"), Step::SetRate(slow, -200_000));
        let group = |witnesses| Step::Reconfigure { members: r(&[0, 1, 2]), witnesses };
        assert_eq!(told("reconfigure to r0, r1 and r2"), group(None));
        assert_eq!(told("reconfigure to r0, r1 and r2 with witness r2"), group(Some(r(&[2]))));
        assert_eq!(told("wait 20 ms"), Step::Wait(20_000_000));
        let is = |bound| Step::Until(Condition::Is(r(&[0, 1]), Status::ChangingViews, Some(2)), bound);
        assert_eq!(told("until r0 and r1 are changing views in view 2"), is(PATIENCE));
        assert_eq!(told("until r0, r1 are changing views in view 2, within 2 s"), is(2 * SECOND));
        let answered = Condition::Answered(vec![0, 1]);
        assert_eq!(told("until c0, c1 are answered, within 1 s"), Step::Until(answered, SECOND));
        let which = Which {
            kinds: Some(vec![Kind::Prepare, Kind::Commit]),
            from: Some(vec![Node::Replica(ReplicaId(0))]),
            to: None,
            view: Some(4),
        };
        let drop = |which| Step::Rule(Rule { treatment: Treatment::Drop, which });
        assert_eq!(told("drop every Prepare and Commit from r0 to anyone in view 4"), drop(which));
        let which = Which { kinds: Some(vec![Kind::Request]), view: Some(3), ..Which::default() };
        assert_eq!(told("drop Request of session 3 from anyone to anyone"), drop(which));
    }

    #[test]
    fn what_does_not_fit_is_refused_where_it_is() {
        let cases = [
            ("", 0, "the step ends here: expected a client (c0, …), crash,"),
            ("crush r2", 0, "`crush`: expected a client (c0, …), crash,"),
            ("crash r3", 6, "`r3`: expected one of 3 replicas (r0, …)"),
            ("crash c0", 6, "`c0`: expected one of 3 replicas (r0, …)"),
            ("crash r1 and", 12, "the step ends here: expected one of 3 replicas"),
            ("c2 puts a=1", 0, "`c2`: expected one of 2 clients (c0, …)"),
            ("c0 puts A=1", 8, "`A=1`: expected a key and a number, as in a=1"),
            ("c0 puts a=3 to a=2", 15, "`a=2`: expected the same key"),
            ("hold Prepar from r0 to r1", 5, "`Prepar`: expected everything, or a kind of message: Prepare,"),
            ("hold Prepare to r1", 13, "`to`: expected `from`"),
            ("partition r0 from r0", 18, "`r0`: expected a replica of the other side, or `the rest`"),
            ("wait 3 hours", 7, "`hours`: expected a unit of time: us, ms or s"),
            ("wait 3601 s", 5, "`3601`: expected an hour at most"),
            ("until r0 is prime", 12, "`prime`: expected one of normal, primary, backup, witness,"),
            ("until r0 is primary within 3 s", 20, "`within`: expected the end of the step"),
            ("expect the best", 7, "`the`: expected a replica (r0, …), a client"),
            ("expect r0 has view 3", 14, "`view`: expected op-number or commit-number"),
            ("expect c0 and c1 got a=1", 17, "`got`: expected `is registered`"),
            ("drop Reply of session 3 from r0 to c0", 11, "`of`: expected `from`"),
            ("c0 reads a at c1", 14, "`c1`: expected one of 3 replicas"),
            ("the clock of r1 runs 20 percent late", 32, "`late`: expected `fast` or `slow`"),
            ("the clock of r1 runs 91 percent fast", 21, "`91`: expected a number from 0 to 90"),
            ("reconfigure to r0 and r1 with witness r2", 38, "`r2`: expected one of the members"),
            ("heal r0", 5, "`r0`: expected the end of the step"),
        ];
        for (sentence, at, problem) in cases {
            let found = refused(sentence);
            assert_eq!(found.0, at, "{sentence}: {found:?}");
            assert!(found.1.starts_with(problem), "{sentence}: {found:?}");
        }
    }
}
