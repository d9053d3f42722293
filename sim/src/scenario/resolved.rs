//! Setups that come from a trace, which anybody may have edited: held against what a scenario may ask for.

use serde_json::{Map, Value, json};

use crate::groups;
use crate::setup::Setup;

use super::error::Refusal;
use super::schema::Schema;

/// The fault families that a setup holds as one number, and a scenario as a section.
const MISHAPS: [&str; 5] = ["tail", "loss", "duplicate", "hold", "outlast"];

/// The fields that a setup is written without where they are what they were before there were such fields.
const NOT_WRITTEN: [(&str, &str, u64); 7] = [
    ("", "spares", 0),
    ("", "witnesses", 0),
    ("traffic", "fast_read_percent", 0),
    ("traffic", "causal_read_percent", 0),
    ("protocol", "batch_max", 1),
    ("protocol", "lease_us", 0),
    ("protocol", "clock_drift_ppm", 0),
];

/// Refuses a setup that no scenario could have led to, as far as a run would be impossible with it.
///
/// # Errors
/// The field, what it is, and what is allowed.
pub fn check_resolved(setup: &Setup) -> Result<(), String> {
    groups::check(setup)?;
    let schema = schema_of(setup).map_err(|error| error.to_string())?;
    let checked = schema.draw(&setup.scenario, setup.seed).and_then(|_| schema.protocol.check_order());
    checked.map_err(Refusal::into_text)
}

/// The scenario that leaves nothing open but what is in `setup`.
fn schema_of(setup: &Setup) -> serde_json::Result<Schema> {
    let mut fields = serde_json::to_value(setup)?;
    fields["description"] = json!("a setup");
    if let Value::Object(fields) = &mut fields {
        fields.remove("scenario");
        fields.remove("seed");
        if fields.contains_key("groups") {
            fields.insert("groups".to_owned(), json!(setup.groups.len()));
        }
        if let Some(Value::Object(supervision)) = fields.get_mut("supervision") {
            let groups = supervision.remove("groups").and_then(|groups| Some(groups.as_array()?.len()));
            fields.insert("groups".to_owned(), json!(groups));
        }
        for (section, name, usual) in NOT_WRITTEN {
            let section = if section.is_empty() { &mut *fields } else { section_of(fields, section) };
            section.entry(name).or_insert(json!(usual));
        }
        if let Some(Value::Object(network)) = fields.get_mut("network") {
            MISHAPS.iter().for_each(|family| unfold(network, family));
        }
    }
    serde_json::from_value(fields)
}

fn section_of<'a>(fields: &'a mut Map<String, Value>, name: &str) -> &'a mut Map<String, Value> {
    fields.get_mut(name).and_then(Value::as_object_mut).expect("a setup has all sections")
}

/// Makes the number of a family a section, or nothing where it is off.
fn unfold(network: &mut Map<String, Value>, family: &str) {
    let per_million = network.remove(&format!("{family}_per_million"));
    if let Some(per_million) = per_million.filter(|number| *number != 0) {
        network.insert(family.to_owned(), json!({ "per_million": per_million }));
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::{Overrides, Scenario};

    use super::*;

    #[test]
    fn what_scenarios_lead_to_is_allowed() {
        for scenario in Scenario::builtin() {
            for seed in 0..50 {
                assert_eq!(check_resolved(&scenario.resolve(seed, &Overrides::default())), Ok(()));
            }
        }
    }

    #[test]
    fn what_would_not_run_is_refused_with_its_name() {
        type Adjust = fn(&mut Setup);
        let refused = |adjust: Adjust| {
            let mut setup = Scenario::find("swarm").expect("built in").resolve(1, &Overrides::default());
            adjust(&mut setup);
            check_resolved(&setup).expect_err("it would not run")
        };
        let cases: [(&str, Adjust); 6] = [
            ("replicas: 0 is out of range: 1 to 9 is allowed", |setup| setup.replicas = 0),
            ("network.delay_min_us: 0 is", |setup| setup.network.delay_min_us = 0),
            ("network.loss.per_million: 2000000 is", |setup| setup.network.loss_per_million = 2_000_000),
            ("protocol.pipeline_max: 0 is", |setup| setup.protocol.pipeline_max = 0),
            ("protocol.request_timeout_us: 0 is", |setup| setup.protocol.request_timeout_us = 0),
            ("protocol.heartbeat_us: 7000000 is too long", |setup| setup.protocol.heartbeat_us = 7_000_000),
        ];
        for (expected, adjust) in cases {
            let refusal = refused(adjust);
            assert!(refusal.starts_with(expected), "{refusal}");
        }
    }
}
