//! What was not run yet, or not as often as was promised.

use super::raw::{Raw, Row};
use super::{SCENARIOS, containerd};

/// Where the laboratory is run.
const ENGINES: [&str; 4] = ["docker-20.10", "docker-28.5", "containerd-1.6", "containerd-2.1"];

/// The parts with a row a place, and how often at each place was promised. Of requests each goes wrong once.
const PARTS: [(&str, u32); 4] = [("kills", 20), ("shims", 20), ("engines", 20), ("calls", 1)];

/// The part that a row is of.
fn part(row: &Row) -> &'static str {
    if row.scenario.contains("one request of it") {
        "calls"
    } else if row.scenario == "shim that is killed" {
        "shims"
    } else if row.scenario.ends_with("that is killed") {
        "engines"
    } else {
        "kills"
    }
}

/// Where commands are killed on an engine: scenario and place.
fn places(engine: &str) -> Vec<(&'static str, &'static str)> {
    if engine.starts_with("docker") {
        let each = |scenario: &'static super::Scenario| scenario.places().map(|place| (scenario.name, place));
        SCENARIOS.iter().flat_map(each).collect()
    } else {
        let each = |scenario: &'static containerd::Scenario| {
            scenario.places.iter().map(|place| (scenario.name, *place))
        };
        containerd::SCENARIOS.iter().flat_map(each).collect()
    }
}

/// A line for each part of each engine that is missing, whole or partly.
pub(super) fn missing(raw: &Raw) -> Vec<String> {
    ENGINES.into_iter().flat_map(|engine| of(raw, engine)).collect()
}

fn of(raw: &Raw, engine: &str) -> Vec<String> {
    let rows = PARTS.iter().filter_map(|&(name, promised)| {
        let of_part: Vec<_> =
            raw.rows.iter().filter(|row| row.engine == engine && part(row) == name).collect();
        let mut times: Vec<_> = of_part.iter().map(|row| row.times).collect();
        if name == "kills" && !of_part.is_empty() {
            let is_there = |(scenario, place): &(&str, &str)| {
                of_part.iter().any(|row| row.scenario == *scenario && row.place == *place)
            };
            times.extend(places(engine).iter().filter(|place| !is_there(place)).map(|_| 0));
        }
        let few = times.iter().filter(|&&times| times < promised).count();
        match times.iter().min() {
            None => Some(name.to_owned()),
            Some(_) if few == 0 => None,
            Some(least) => Some(format!(
                "{name}, {promised} times at {few} of {} places (at least {least})",
                times.len()
            )),
        }
    });
    let singles = [
        ("many", raw.many.iter().any(|many| many.engine == engine && many.containers >= 1000)),
        ("speed", raw.speed.iter().any(|speed| speed.engine == engine)),
        (
            "wedge",
            engine.starts_with("docker")
                || raw.wedge.iter().any(|wedge| wedge.engine == engine && wedge.cancelled >= 300),
        ),
    ];
    let singles = singles.into_iter().filter(|(_, is_run)| !is_run).map(|(name, _)| name.to_owned());
    rows.chain(singles).map(|text| format!("{engine}: {text}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_run_less_than_promised_is_told() {
        let row = |scenario: &str, times| Row {
            engine: "docker-28.5".into(),
            scenario: scenario.into(),
            place: "somewhere".into(),
            times,
            killed: times,
            left: vec![],
            seconds: 1.0,
        };
        let mut rows = vec![
            row("run", 2),
            row("run", 20),
            row("shim that is killed", 20),
            row("run, one request of it is refused", 7),
        ];
        rows.extend(
            places("docker-28.5")
                .iter()
                .skip(3)
                .map(|(scenario, place)| Row { place: (*place).into(), ..row(scenario, 20) }),
        );
        let raw = Raw { rows, ..Raw::default() };
        insta::assert_snapshot!(of(&raw, "docker-28.5").join("\n"), @r"
        docker-28.5: kills, 20 times at 4 of 63 places (at least 0)
        docker-28.5: engines
        docker-28.5: many
        docker-28.5: speed
        ");
    }

    #[test]
    fn commands_are_killed_at_all_labelled_places() {
        let killed: Vec<_> = ["docker-28.5", "containerd-2.1"].into_iter().flat_map(places).collect();
        // Pulls are killed in a test of their own.
        let ours = ci_build::failpoint::ALL.iter().filter(|place| !place.starts_with("pull."));
        let never: Vec<_> = ours.filter(|place| killed.iter().all(|(_, at)| at != *place)).collect();
        assert!(never.is_empty(), "nothing is killed at {never:?}");
    }
}
