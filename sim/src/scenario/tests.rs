//! Refusals, by their exact words; and what the built-in scenarios draw.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::*;
use crate::setup::{CrashTarget, Expectation, Faults, PartitionShape};

const NONE: Overrides = Overrides { steps: None, replicas: None, clients: None, workload: None };

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

/// A scenario with these fields besides its description.
fn scenario(fields: &str) -> Result<Scenario, ScenarioError> {
    Scenario::parse("test", &format!(r#"{{"description": "A test.", {fields}}}"#))
}

fn refusal(fields: &str) -> String {
    scenario(fields).expect_err("must be refused").to_string()
}

#[test]
fn syntax_errors_have_a_position() {
    let refusal = |text| Scenario::parse("test", text).expect_err("must be refused").to_string();
    assert_eq!(refusal(""), "test.json:1:0: EOF while parsing a value");
    assert_eq!(refusal("{\n  \"description\": \"A test.\",\n}"), "test.json:3:1: trailing comma");
    assert_eq!(refusal("{}"), "test.json:1:2: missing field `description`");
    assert_eq!(
        refusal("{\n  \"description\": \"A test.\",\n  \"replica\": 3\n}"),
        "test.json:3:11: unknown field `replica`, expected one of `description`, `swarm`, `steps`, \
         `workload`, `replicas`, `spares`, `witnesses`, `clients`, `groups`, `supervision`, `network`, `traffic`, `protocol`, `faults`, \
         `expect`, `story`, `must_fail`"
    );
    assert_eq!(
        refusal("{\n  \"description\": \"A test.\",\n  \"description\": \"Another.\"\n}"),
        "test.json:3:15: duplicate field `description`"
    );
}

#[test]
fn values_of_another_type_have_a_position() {
    let number = r#"expected a whole number, {"between": [low, high]} or {"choose": [values]}"#;
    assert_eq!(
        refusal(r#""steps": "many""#),
        format!(r#"test.json:1:42: invalid type: string "many", {number}"#)
    );
    assert_eq!(refusal(r#""steps": -5"#), format!("test.json:1:38: invalid type: integer `-5`, {number}"));
    assert_eq!(
        refusal(r#""steps": 1.5"#),
        format!("test.json:1:39: invalid type: floating point `1.5`, {number}")
    );
    assert_eq!(
        refusal(r#""steps": {"betwixt": [1, 2]}"#),
        "test.json:1:46: unknown field `betwixt`, expected `between` or `choose`"
    );
    assert_eq!(
        refusal(r#""steps": {"between": [1, 2], "choose": [3]}"#),
        "test.json:1:70: expected either `between` or `choose`"
    );
    assert_eq!(
        refusal(r#""steps": {"between": [1]}"#),
        "test.json:1:51: invalid length 1, expected an array of length 2"
    );
    assert_eq!(
        refusal(r#""workload": 5"#),
        r#"test.json:1:40: invalid type: integer `5`, expected a name or {"choose": [names]}"#
    );
    assert_eq!(
        refusal(r#""faults": {"crash": {"targets": "primary"}}"#),
        r#"test.json:1:68: invalid type: string "primary", expected a list or {"some_of": [items]}"#
    );
    assert_eq!(
        refusal(r#""faults": {"crash": {"targets": ["boss"]}}"#),
        "test.json:1:66: unknown variant `boss`, expected one of `random`, `primary`, `next-primary`, \
         `after-do-view-change`, `during-recovery`, `before-quorum`, `after-recovery-response`, \
         `after-start-view`"
    );
    assert_eq!(
        refusal(r#""expect": "luck""#),
        "test.json:1:43: unknown variant `luck`, expected one of `progress`, `stuck`, `steady`"
    );
}

#[test]
fn numbers_out_of_range_are_refused() {
    assert_eq!(refusal(r#""replicas": 0"#), "test.json: replicas: 0 is out of range: 1 to 9 is allowed");
    assert_eq!(
        refusal(r#""replicas": {"choose": [3, 10]}"#),
        "test.json: replicas.choose[1]: 10 is out of range: 1 to 9 is allowed"
    );
    assert_eq!(
        refusal(r#""clients": {"choose": [3, {"between": [1, 65]}]}"#),
        "test.json: clients.choose[1].between[1]: 65 is out of range: 1 to 64 is allowed"
    );
    assert_eq!(refusal(r#""steps": 0"#), "test.json: steps: 0 is out of range: 1 to 1000000000 is allowed");
    assert_eq!(
        refusal(r#""network": {"loss": {"per_million": 1000001}}"#),
        "test.json: network.loss.per_million: 1000001 is out of range: 1 to 1000000 is allowed"
    );
    assert_eq!(
        refusal(r#""network": {"hold_max_us": 0}"#),
        "test.json: network.hold_max_us: 0 is out of range: 1 to 3600000000 is allowed"
    );
    assert_eq!(
        refusal(r#""faults": {"crash": {"interval_mean_us": 0}}"#),
        "test.json: faults.crash.interval_mean_us: 0 is out of range: 1 to 3600000000 is allowed"
    );
    assert_eq!(
        refusal(r#""faults": {"clock": {"on_percent": 101}}"#),
        "test.json: faults.clock.on_percent: 101 is out of range: 0 to 100 is allowed"
    );
}

#[test]
fn fields_are_checked_where_their_family_is_off() {
    assert_eq!(
        refusal(r#""faults": {"pause": {"on_percent": 0, "duration_mean_us": 0}}"#),
        "test.json: faults.pause.duration_mean_us: 0 is out of range: 1 to 3600000000 is allowed"
    );
}

#[test]
fn draws_from_nothing_are_refused() {
    assert_eq!(
        refusal(r#""steps": {"between": [500, 100]}"#),
        "test.json: steps.between: 500 is more than 100: the lower bound comes first"
    );
    assert_eq!(
        refusal(r#""traffic": {"think_mean_us": {"between": [0, 100]}}"#),
        "test.json: traffic.think_mean_us.between[0]: 0 is no bound of a logarithmic draw: start at 1, or \
         choose among 0 and others"
    );
    let empty = "the list is empty: at least one item is needed";
    assert_eq!(refusal(r#""steps": {"choose": []}"#), format!("test.json: steps.choose: {empty}"));
    assert_eq!(refusal(r#""workload": {"choose": []}"#), format!("test.json: workload.choose: {empty}"));
    assert_eq!(
        refusal(r#""faults": {"crash": {"targets": []}}"#),
        format!("test.json: faults.crash.targets: {empty}")
    );
    assert_eq!(
        refusal(r#""faults": {"partition": {"shapes": {"some_of": []}}}"#),
        format!("test.json: faults.partition.shapes.some_of: {empty}")
    );
}

#[test]
fn lists_name_everything_once() {
    assert_eq!(
        refusal(r#""faults": {"crash": {"targets": ["primary", "primary"]}}"#),
        "test.json: faults.crash.targets[1]: the item is in the list already"
    );
    assert_eq!(
        refusal(r#""faults": {"partition": {"shapes": {"some_of": ["bridge", "one-way", "bridge"]}}}"#),
        "test.json: faults.partition.shapes.some_of[2]: the item is in the list already"
    );
}

#[test]
fn null_is_for_families() {
    assert_eq!(
        refusal(r#""steps": null"#),
        "test.json: steps: null is allowed for fault families only: leave the field out for its default"
    );
    let off = scenario(r#""swarm": true, "network": {"loss": null}, "faults": {"crash": null}"#).unwrap();
    for seed in 0..100 {
        let setup = off.resolve(seed, &NONE);
        assert_eq!((setup.network.loss_per_million, setup.faults.crash), (0, None));
    }
}

#[test]
fn a_description_is_one_line() {
    for text in [r#"{"description": " "}"#, r#"{"description": "One.\nTwo."}"#] {
        assert_eq!(
            Scenario::parse("test", text).unwrap_err().to_string(),
            "test.json: description: one line is needed that says what the scenario is for"
        );
    }
}

#[test]
fn crashes_that_could_never_strike_are_refused() {
    assert_eq!(
        refusal(r#""replicas": {"choose": [1, 2]}, "faults": {"crash": {}}"#),
        "test.json: faults.crash: a group of 2 tolerates no crash: 3 replicas or more are needed, or \
         \"beyond_budget\": true"
    );
    // What is drawn like this is off.
    let sometimes = scenario(r#""replicas": {"choose": [2, 3]}, "faults": {"crash": {}}"#).unwrap();
    for seed in 0..100 {
        let setup = sometimes.resolve(seed, &NONE);
        assert_eq!(setup.faults.crash.is_some(), setup.replicas == 3);
    }
}

#[test]
fn expectations_that_contradict_the_faults_are_refused() {
    assert_eq!(
        refusal(r#""expect": "stuck", "faults": {"crash": {}}"#),
        "test.json: expect: \"stuck\" is allowed only where faults.crash has \"beyond_budget\": true"
    );
    assert_eq!(
        refusal(r#""faults": {"crash": {"beyond_budget": true}}"#),
        "test.json: faults.crash.beyond_budget: true is allowed only with \"expect\": \"stuck\", for nothing \
         else can be promised"
    );
    let stuck = scenario(r#""expect": "stuck", "faults": {"crash": {"beyond_budget": true}}"#).unwrap();
    assert_eq!(stuck.resolve(1, &NONE).expect, Expectation::Stuck);
}

#[test]
fn timers_out_of_order_are_refused() {
    assert_eq!(
        refusal(
            r#""protocol": {"heartbeat_us": {"between": [10000, 100000]}, "primary_timeout_us": 100000}"#
        ),
        "test.json: protocol.heartbeat_us: 100000 is too long: less than protocol.primary_timeout_us is \
         needed, which may be 100000"
    );
    assert_eq!(
        refusal(r#""protocol": {"resend_us": 70000, "view_change_timeout_us": {"choose": [80000, 60000]}}"#),
        "test.json: protocol.resend_us: 70000 is too long: less than protocol.view_change_timeout_us is \
         needed, which may be 60000"
    );
    assert_eq!(
        refusal(r#""protocol": {"abdication_us": 1000}"#),
        "test.json: protocol.resend_us: 60000 is too long: less than protocol.abdication_us is needed, which \
         may be 1000"
    );
}

#[test]
fn more_mishaps_than_messages_are_refused() {
    assert_eq!(
        refusal(r#""network": {"loss": {"per_million": 700000}, "hold": {"per_million": 400000}}"#),
        "test.json: network: tail, loss, duplicate, hold and outlast befall up to 1100000 messages per million \
         together: 1000000 is allowed"
    );
    scenario(r#""network": {"loss": {"per_million": 1000000}}"#).unwrap();
}

#[test]
fn sessions_suffice_for_the_clients() {
    assert_eq!(
        refusal(r#""clients": {"between": [8, 16]}, "protocol": {"sessions_max": 8}"#),
        "test.json: protocol.sessions_max: 8 is too few for 8 clients: at least 9 is needed"
    );
    let raised = scenario(r#""clients": {"between": [1, 16]}, "protocol": {"sessions_max": 8}"#).unwrap();
    for seed in 0..100 {
        let setup = raised.resolve(seed, &NONE);
        assert_eq!(setup.protocol.sessions_max, 8.max(u32::from(setup.client_slots()) + 1));
    }
}

#[test]
fn what_cannot_be_found_is_named() {
    let names: Vec<_> = Scenario::builtin().map(|scenario| scenario.name().to_owned()).collect();
    assert_eq!(names[..3], ["swarm", "calm", "lossy"]);
    assert_eq!(
        Scenario::find("clam").unwrap_err().to_string(),
        format!("clam: no such scenario: expected a JSON file or one of {}", names.join(", "))
    );
    let missing = Scenario::find("nowhere/clam.json").unwrap_err();
    assert!(matches!(&missing, ScenarioError::Unreadable { file, .. } if file == "nowhere/clam.json"));
    assert!(missing.to_string().starts_with("nowhere/clam.json: "), "{missing}");
    assert_eq!(Scenario::find("calm").unwrap().name(), "calm");
    let path = folder().join("calm.json");
    assert_eq!(Scenario::find(path.to_str().unwrap()).unwrap().name(), "calm");
}

#[test]
fn overrides_are_checked() {
    let storm = Scenario::find("crash-storm").unwrap();
    let check = |overrides| storm.check_overrides(&overrides).map_err(|error| error.to_string());
    assert_eq!(check(Overrides { replicas: Some(3), steps: Some(1), clients: Some(64), ..NONE }), Ok(()));
    assert_eq!(
        check(Overrides { replicas: Some(10), ..NONE }),
        Err("crash-storm: replicas: 10 is out of range: 1 to 9 is allowed".into())
    );
    assert_eq!(
        check(Overrides { clients: Some(0), ..NONE }),
        Err("crash-storm: clients: 0 is out of range: 1 to 64 is allowed".into())
    );
    assert_eq!(
        check(Overrides { replicas: Some(2), ..NONE }),
        Err("crash-storm: faults.crash: a group of 2 tolerates no crash: 3 replicas or more are needed, or \
             \"beyond_budget\": true"
            .into())
    );
    let swarm = Scenario::find("swarm").unwrap();
    assert_eq!(swarm.check_overrides(&Overrides { replicas: Some(1), ..NONE }), Ok(()));
}

/// A run in which no group ever starts would hold, and prove nothing.
#[test]
fn overrides_leave_enough_for_the_groups() {
    let refusal = |name, overrides: Overrides| {
        Scenario::find(name).unwrap().check_overrides(&overrides).map_err(|error| error.to_string())
    };
    let hosts = |replicas| refusal("supervised-groups", Overrides { replicas: Some(replicas), ..NONE });
    assert_eq!(
        hosts(2).unwrap_err(),
        "supervised-groups: replicas: 2 is too few: a group under a supervisor needs 3 hosts, one for each of \
         its members"
    );
    assert_eq!(hosts(3), Ok(()));
    assert_eq!(
        refusal("several-groups", Overrides { clients: Some(1), ..NONE }).unwrap_err(),
        "several-groups: groups: each group needs a client"
    );
}

#[test]
fn overrides_move_no_draw() {
    let swarm = Scenario::find("swarm").unwrap();
    for seed in 0..200 {
        let drawn = swarm.resolve(seed, &NONE);
        let overrides = Overrides { steps: Some(77), replicas: Some(9), clients: Some(1), ..NONE };
        let mut expected = swarm.resolve(seed, &overrides);
        assert_eq!((expected.steps, expected.replicas, expected.clients), (77, 9, 1));
        (expected.steps, expected.replicas, expected.clients) = (drawn.steps, drawn.replicas, drawn.clients);
        reconcile(&mut expected, swarm.schema.groups(seed).unwrap());
        assert_eq!(expected, drawn);
    }
}

#[test]
fn fields_do_not_influence_each_other() {
    let one = scenario(r#""swarm": true"#).unwrap();
    let other =
        scenario(r#""swarm": true, "network": {"delay_min_us": {"choose": [1, 2]}, "tail": null}"#).unwrap();
    for seed in 0..100 {
        let (mut one, other) = (one.resolve(seed, &NONE), other.resolve(seed, &NONE));
        one.network.delay_min_us = other.network.delay_min_us;
        one.network.tail_per_million = 0;
        assert_eq!(one, other);
    }
}

#[test]
fn a_seed_always_gives_the_same_setup() {
    let swarm = Scenario::find("swarm").unwrap();
    let again = Scenario::load(folder().join("swarm.json")).unwrap();
    let setups: Vec<_> = (0..50).map(|seed| swarm.resolve(seed, &NONE)).collect();
    assert!((0..50).all(|seed| again.resolve(seed, &NONE) == setups[seed as usize]));
    assert!(setups.windows(2).all(|pair| pair[0].network != pair[1].network));
}

#[test]
fn what_is_not_named_is_off_or_as_in_the_swarm() {
    let calm = scenario(r#""replicas": 3"#).unwrap();
    let swarm = scenario(r#""swarm": true"#).unwrap();
    let named = scenario(
        r#""replicas": 3, "network": {"loss": {}},
        "faults": {"crash": {}, "pause": {"duration_mean_us": 5}}"#,
    )
    .unwrap();
    let default = Scenario::find("swarm").unwrap();
    for seed in 0..200 {
        let (off, named) = (calm.resolve(seed, &NONE), named.resolve(seed, &NONE));
        let network = &off.network;
        assert_eq!(off.faults, Faults::default());
        assert_eq!([network.tail_per_million, network.loss_per_million], [0, 0]);
        assert_eq!([network.duplicate_per_million, network.hold_per_million], [0, 0]);
        assert_eq!(network.outlast_per_million, 0);

        let mut like_default = swarm.resolve(seed, &NONE);
        like_default.scenario = "swarm".into();
        let mut drawn = default.resolve(seed, &NONE);
        assert!(like_default.groups.is_empty(), "there is one group where nothing is said of it");
        drawn.groups.clear();
        assert_eq!(like_default, drawn);
        assert_eq!((off.steps, &off.traffic), (drawn.steps, &drawn.traffic));

        assert!(named.network.loss_per_million > 0 && named.faults.crash.is_some());
        if drawn.faults.crash.is_some() {
            assert_eq!(named.faults.crash, drawn.faults.crash);
        }
        assert_eq!(named.faults.pause.unwrap().duration_mean_us, 5);
        assert_eq!(named.faults.clog, None);
    }
}

#[test]
fn the_list_of_scenarios_is_the_folder() {
    let scenarios = [builtin::ALL, builtin::BEYOND].concat();
    for (folder, list) in [(folder(), &scenarios[..]), (folder().join("stories"), builtin::STORIES)] {
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let files = files.filter(|path| path.is_file());
        let files: BTreeSet<_> =
            files.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
        let listed: BTreeSet<_> = list.iter().map(|(name, _)| format!("{name}.json")).collect();
        assert_eq!(files, listed);
        assert_eq!(list.len(), listed.len(), "each is listed once");
    }
    let both = builtin::ALL.iter().chain(builtin::STORIES);
    let names: BTreeSet<_> = both.map(|(name, _)| name).collect();
    assert_eq!(names.len(), builtin::ALL.len() + builtin::STORIES.len(), "a name is a scenario or a story");
}

#[test]
fn the_swarm_names_every_field() {
    // A scenario that leaves all out takes all from there, and what is missing would be refused.
    let families = r#""network": {"tail": {}, "loss": {}, "duplicate": {}, "hold": {}, "outlast": {}},
        "faults": {"partition": {}, "clog": {}, "crash": {}, "pause": {}, "clock": {}, "client": {}, "lingering": {}}"#;
    scenario(families).unwrap();
}

#[test]
fn a_supervisor_needs_no_more_than_its_name() {
    let supervised = Scenario::find("supervised-groups").unwrap();
    for swarm in [true, false] {
        let least = scenario(&format!(r#""swarm": {swarm}, "supervision": {{}}"#)).unwrap();
        for seed in 0..50 {
            let (setup, expected) = (least.resolve(seed, &NONE), supervised.resolve(seed, &NONE));
            assert_eq!(check_resolved(&setup), Ok(()));
            assert_eq!((setup.replicas, &setup.workload), (expected.replicas, &expected.workload));
            let (it, expected) = (setup.supervision.unwrap(), expected.supervision.unwrap());
            assert_eq!(it.alive_interval_us, expected.alive_interval_us);
            assert_eq!(it.failure_timeout_us, expected.failure_timeout_us);
            assert_eq!(it.deed_interval_mean_us, expected.deed_interval_mean_us);
            assert_eq!(it.groups.len(), 1);
            assert!(swarm || setup.faults.crash.is_none());
        }
    }
    let slow = scenario(r#""supervision": {"failure_timeout_us": 3000000}"#).unwrap().resolve(1, &NONE);
    assert_eq!(slow.supervision.unwrap().failure_timeout_us, 3_000_000);
    assert_eq!(
        refusal(r#""story": ["wait 1 ms"], "supervision": {}"#),
        "test.json: supervision: a story is told of one group"
    );
    assert_eq!(
        refusal(r#""supervision": {"alive_interval_us": null}"#),
        "test.json: supervision.alive_interval_us: null is allowed for fault families only: leave the field out \
         for its default"
    );
}

#[test]
fn built_in_scenarios_give_valid_setups() {
    for scenario in Scenario::builtin() {
        for seed in 0..200 {
            let setup = scenario.resolve(seed, &NONE);
            assert_eq!((setup.scenario.as_str(), setup.seed), (scenario.name(), seed));
            assert!((1..=50_000).contains(&setup.steps));
            assert!((1..=9).contains(&setup.replicas) && (1..=64).contains(&setup.clients));
            let protocol = &setup.protocol;
            assert!(protocol.heartbeat_us < protocol.primary_timeout_us);
            assert!(protocol.resend_us < protocol.view_change_timeout_us);
            assert!(protocol.sessions_max > setup.clients.into());
            let crash = setup.faults.crash.as_ref();
            assert!(crash.is_none_or(|crash| crash.beyond_budget || setup.replicas >= 3));
            let beyond_budget = crash.is_some_and(|crash| crash.beyond_budget);
            assert_eq!(setup.expect == Expectation::Stuck, beyond_budget);
            let text = serde_json::to_string(&setup).unwrap();
            assert_eq!(serde_json::from_str::<Setup>(&text).unwrap(), setup);
        }
    }
}

#[test]
fn the_swarm_draws_everything() {
    let swarm = Scenario::find("swarm").unwrap();
    let setups: Vec<_> = (0..2_000).map(|seed| swarm.resolve(seed, &NONE)).collect();

    let families: [fn(&Setup) -> bool; 13] = [
        |setup| setup.network.tail_per_million > 0,
        |setup| setup.network.loss_per_million > 0,
        |setup| setup.network.duplicate_per_million > 0,
        |setup| setup.network.hold_per_million > 0,
        |setup| setup.network.outlast_per_million > 0,
        |setup| setup.faults.partition.is_some(),
        |setup| setup.faults.clog.is_some(),
        |setup| setup.faults.crash.is_some(),
        |setup| setup.faults.pause.is_some(),
        |setup| setup.faults.clock.is_some(),
        |setup| setup.faults.client.is_some(),
        |setup| setup.faults.lingering.is_some(),
        |setup| setup.faults.reconfiguration.is_some(),
    ];
    for (index, family) in families.iter().enumerate() {
        let on = setups.iter().filter(|setup| family(setup)).count();
        assert!((250..1_400).contains(&on), "family {index} is on in {on} of 2,000 seeds");
    }
    let counts = || setups.iter().map(|setup| families.iter().filter(|family| family(setup)).count());
    assert!(counts().min() <= Some(1) && counts().max() >= Some(8), "few and many at once");

    let sizes: BTreeSet<_> = setups.iter().map(|setup| setup.replicas).collect();
    assert_eq!(sizes, BTreeSet::from([1, 2, 3, 4, 5, 7, 9]));
    let clients: BTreeSet<_> = setups.iter().map(|setup| setup.clients).collect();
    assert_eq!(clients, (1..=16).collect());
    let short = setups.iter().filter(|setup| setup.steps <= 5_000).count();
    assert!((1_600..2_000).contains(&short), "{short} of 2,000 are short");

    let shapes: BTreeSet<_> = setups
        .iter()
        .filter_map(|setup| setup.faults.partition.as_ref())
        .flat_map(|faults| &faults.shapes)
        .collect();
    assert_eq!(shapes.len(), 9);
    assert!(shapes.contains(&PartitionShape::ClientCut));
    let crashes = || setups.iter().filter_map(|setup| setup.faults.crash.as_ref());
    let targets: BTreeSet<_> = crashes().flat_map(|faults| &faults.targets).collect();
    assert_eq!(targets.len(), CrashTarget::ALL.len());
    assert!(crashes().any(|faults| faults.targets == [CrashTarget::Primary]), "a target can be the only one");
}

#[test]
fn a_sentence_that_is_no_step_is_refused_where_it_stands() {
    let text = "{\n  \"description\": \"A test.\",\n  \"story\": [\n    \"heal\",\n    \"crush r2\"\n  ]\n}";
    let refusal = |text: &str| Scenario::parse("test", text).expect_err("must be refused").to_string();
    let refused = refusal(text);
    assert!(
        refused.starts_with("test.json:5:6: step 2: `crush`: expected a client (c0, …), crash,"),
        "{refused}"
    );
    let refused = refusal(&text.replace("crush r2", "crash r3"));
    assert_eq!(refused, "test.json:5:12: step 2: `r3`: expected one of 3 replicas (r0, …)");
    assert!(Scenario::parse("test", &text.replace("crush r2", "crash r2")).is_ok());
    assert!(refusal(&text.replace("[\n", "7, [\n")).starts_with("test.json:3:12: invalid type: integer `7`"));
}

#[test]
fn a_story_leaves_nothing_to_chance() {
    let story = r#""story": ["heal"]"#;
    let told = scenario(story).unwrap();
    let setup = |seed| Setup { seed: 0, ..told.resolve(seed, &NONE) };
    let setups: BTreeSet<_> = (0..20).map(|seed| serde_json::to_string(&setup(seed)).unwrap()).collect();
    assert_eq!(setup(0).faults, Faults::default());
    assert_eq!(setups.len(), 1, "the seed decides nothing but the timers' jitter");
    let refused = |fields: &str| refusal(&format!("{fields}, {story}"));
    let random = "a story has no random";
    for (fields, problem) in [
        (r#""swarm": true"#, format!("swarm: {random} faults")),
        (r#""faults": {"crash": {}}"#, format!("faults: {random} faults: it tells what happens")),
        (r#""network": {"loss": {}}"#, format!("network: {random} losses and delays: it tells what happens")),
        (r#""workload": "lock""#, "workload: a story speaks of key-value or blackboard only".to_owned()),
        (
            r#""must_fail": [{"bug": "M-X1", "property": "S2"}]"#,
            "must_fail[0].bug: `M-X1`: no such planted bug: expected one that `sim selftest --list` shows"
                .to_owned(),
        ),
        (
            r#""must_fail": [{"bug": "M-T2", "property": "Story"}]"#,
            "must_fail[0].at: missing: the sentence at which the story must not go on".to_owned(),
        ),
        (
            r#""must_fail": [{"bug": "M-T2", "property": "Story", "at": "wait 1 s"}]"#,
            "must_fail[0].at: `wait 1 s`: no sentence of the story".to_owned(),
        ),
        (
            r#""must_fail": [{"bug": "M-S1", "property": "S2", "at": "heal"}]"#,
            r#"must_fail[0].at: only with "property": "Story""#.to_owned(),
        ),
    ] {
        assert_eq!(refused(fields), format!("test.json: {problem}"));
    }
    let alone = refusal(r#""must_fail": [{"bug": "M-S1", "property": "S2"}]"#);
    assert_eq!(alone, "test.json: must_fail: only a scenario with a story has it");
    let smaller = Overrides { replicas: Some(2), ..NONE };
    let crash = scenario(r#""story": ["pause r2"]"#).unwrap();
    assert_eq!(
        crash.check_overrides(&smaller).unwrap_err().to_string(),
        "test: story: step 1: `r2`: expected one of 2 replicas (r0, …) and 2 clients (c0, …)"
    );
    let own = Overrides { workload: Some("mine"), ..NONE };
    let refused = crash.check_overrides(&own).unwrap_err().to_string();
    assert_eq!(refused, "test: story: a story speaks of another workload than mine");
}
