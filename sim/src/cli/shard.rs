//! Which part of a sweep this is, by the environment that engines for jobs in parallel give to each.

use crate::sweep::Shard;

/// Looks up a variable of the environment.
type Get<'a> = &'a dyn Fn(&str) -> Option<String>;

/// An engine: what it is called, and how it tells the part.
type Engine = (&'static str, fn(Get<'_>) -> Result<Option<Shard>, String>);

const ENGINES: [Engine; 5] = [
    ("Slurm", slurm),
    ("Kubernetes", |get| numbered(get, ("JOB_COMPLETION_INDEX", 0), "JOB_COMPLETIONS")),
    ("GitLab", |get| numbered(get, ("CI_NODE_INDEX", 1), "CI_NODE_TOTAL")),
    ("CircleCI", |get| numbered(get, ("CIRCLE_NODE_INDEX", 0), "CIRCLE_NODE_TOTAL")),
    ("Buildkite", |get| numbered(get, ("BUILDKITE_PARALLEL_JOB", 0), "BUILDKITE_PARALLEL_JOB_COUNT")),
];

/// The part that the environment names, and the engine that does so. Where a job is not one of several,
/// there is none.
pub(super) fn from_environment(get: Get<'_>) -> Result<Option<(Shard, &'static str)>, String> {
    let mut named: Option<(Shard, &'static str)> = None;
    for (engine, read) in ENGINES {
        let Some(shard) = read(get)?.filter(|shard| *shard != Shard::WHOLE) else { continue };
        match named {
            Some((other, before)) if other != shard => {
                return Err(format!(
                    "{before} says part {other}, {engine} says {shard}: expected --shard k/n"
                ));
            }
            _ => named = named.or(Some((shard, engine))),
        }
    }
    Ok(named)
}

/// The part in an engine that numbers jobs from `base` on.
fn numbered(get: Get<'_>, (index, base): (&str, u64), count: &str) -> Result<Option<Shard>, String> {
    let Some(value) = number(get, index)? else { return Ok(None) };
    let of = needed(get, count, index)?;
    match value.checked_sub(base) {
        Some(place) if place < of => Ok(Some(Shard { number: place + 1, of })),
        _ => Err(format!("{index} is {value}, {count} is {of}: expected {index} to go from {base} up")),
    }
}

/// The part in a Slurm array, which may begin anywhere and go in steps: 10, 15, 20. A list without a constant
/// step, such as 1, 3, 7, does not tell its tasks which of its numbers is the how-manieth.
fn slurm(get: Get<'_>) -> Result<Option<Shard>, String> {
    const ID: &str = "SLURM_ARRAY_TASK_ID";
    let Some(id) = number(get, ID)? else { return Ok(None) };
    let first = needed(get, "SLURM_ARRAY_TASK_MIN", ID)?;
    let last = needed(get, "SLURM_ARRAY_TASK_MAX", ID)?;
    let step = needed(get, "SLURM_ARRAY_TASK_STEP", ID)?.max(1);
    let of = needed(get, "SLURM_ARRAY_TASK_COUNT", ID)?;
    let place = |id: u64| id.checked_sub(first).filter(|place| place % step == 0).map(|place| place / step);
    match (place(id), place(last)) {
        (Some(place), Some(end)) if end.checked_add(1) == Some(of) && place < of => {
            Ok(Some(Shard { number: place + 1, of }))
        }
        _ => Err(format!(
            "{ID} is {id}, one of {of} from {first} to {last}: expected steps of {step}, or --shard k/n"
        )),
    }
}

/// A variable that must be there, as another one is.
fn needed(get: Get<'_>, name: &str, other: &str) -> Result<u64, String> {
    let value = number(get, name)?;
    value.ok_or_else(|| format!("{other} is set, {name} is not: expected both, or --shard k/n"))
}

fn number(get: Get<'_>, name: &str) -> Result<Option<u64>, String> {
    let Some(value) = get(name).filter(|value| !value.is_empty()) else { return Ok(None) };
    let parsed = value.parse();
    parsed.map(Some).map_err(|_| format!("{name} is `{value}`: expected a whole number, or --shard k/n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(variables: &str) -> Result<Option<(Shard, &'static str)>, String> {
        let get = |name: &str| {
            let mut variables = variables.split(' ').filter_map(|variable| variable.split_once('='));
            variables.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
        };
        from_environment(&get)
    }

    fn shard(number: u64, of: u64, engine: &'static str) -> Result<Option<(Shard, &'static str)>, String> {
        Ok(Some((Shard { number, of }, engine)))
    }

    fn array(id: u64, (first, last): (u64, u64), step: u64, count: u64) -> String {
        format!(
            "SLURM_ARRAY_TASK_ID={id} SLURM_ARRAY_TASK_MIN={first} SLURM_ARRAY_TASK_MAX={last} \
             SLURM_ARRAY_TASK_STEP={step} SLURM_ARRAY_TASK_COUNT={count}"
        )
    }

    #[test]
    fn each_engine_counts_in_its_own_way() {
        assert_eq!(told("PATH=/bin"), Ok(None));
        assert_eq!(told(&array(3, (1, 4), 1, 4)), shard(3, 4, "Slurm"));
        assert_eq!(told(&array(0, (0, 3), 1, 4)), shard(1, 4, "Slurm"));
        assert_eq!(told(&array(20, (10, 20), 5, 3)), shard(3, 3, "Slurm"));
        assert_eq!(told("JOB_COMPLETION_INDEX=0 JOB_COMPLETIONS=8"), shard(1, 8, "Kubernetes"));
        assert_eq!(told("CI_NODE_INDEX=5 CI_NODE_TOTAL=5"), shard(5, 5, "GitLab"));
        assert_eq!(told("CIRCLE_NODE_INDEX=1 CIRCLE_NODE_TOTAL=2"), shard(2, 2, "CircleCI"));
        let buildkite = "BUILDKITE_PARALLEL_JOB=6 BUILDKITE_PARALLEL_JOB_COUNT=7";
        assert_eq!(told(buildkite), shard(7, 7, "Buildkite"));
    }

    #[test]
    fn a_job_of_its_own_makes_everything() {
        assert_eq!(told("CIRCLE_NODE_INDEX=0 CIRCLE_NODE_TOTAL=1"), Ok(None));
        assert_eq!(told("CI_NODE_TOTAL=1"), Ok(None));
        assert_eq!(told("BUILDKITE_PARALLEL_JOB= BUILDKITE_PARALLEL_JOB_COUNT="), Ok(None));
        let two = "CIRCLE_NODE_INDEX=0 CIRCLE_NODE_TOTAL=1 CI_NODE_INDEX=2 CI_NODE_TOTAL=3";
        assert_eq!(told(two), shard(2, 3, "GitLab"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let wrong = [
            (array(4, (1, 3), 2, 2), "SLURM_ARRAY_TASK_ID is 4, one of 2 from 1 to 3: expected steps of 2"),
            (array(3, (1, 7), 1, 3), "SLURM_ARRAY_TASK_ID is 3, one of 3 from 1 to 7: expected steps of 1"),
            (array(3, (1, 2), 1, 2), "one of 2 from 1 to 2: expected"),
            ("SLURM_ARRAY_TASK_ID=1".to_owned(), "SLURM_ARRAY_TASK_MIN is not"),
            ("JOB_COMPLETION_INDEX=0".to_owned(), "JOB_COMPLETIONS is not: expected both, or --shard k/n"),
            ("JOB_COMPLETION_INDEX=8 JOB_COMPLETIONS=8".to_owned(), "JOB_COMPLETIONS is 8: expected"),
            ("CI_NODE_INDEX=0 CI_NODE_TOTAL=2".to_owned(), "expected CI_NODE_INDEX to go from 1 up"),
            ("CIRCLE_NODE_INDEX=0 CIRCLE_NODE_TOTAL=0".to_owned(), "CIRCLE_NODE_TOTAL is 0: expected"),
            ("CI_NODE_INDEX=x CI_NODE_TOTAL=2".to_owned(), "CI_NODE_INDEX is `x`: expected a whole number"),
            (
                "CI_NODE_INDEX=1 CI_NODE_TOTAL=2 JOB_COMPLETION_INDEX=1 JOB_COMPLETIONS=2".to_owned(),
                "Kubernetes says part 2/2, GitLab says 1/2: expected --shard k/n",
            ),
        ];
        for (variables, expected) in wrong {
            let problem = told(&variables).unwrap_err();
            assert!(problem.contains(expected), "{variables}: {problem}");
        }
    }
}
