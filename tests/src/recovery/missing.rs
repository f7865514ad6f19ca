//! What was not run yet, or not as often as was promised.

use super::raw::{Raw, Row};

/// Where the laboratory is run.
const ENGINES: [&str; 4] = ["docker-20.10", "docker-28.5", "containerd-1.6", "containerd-2.1"];

/// Of these parts, with a row a place: their names, and how often at each place was promised. Of requests each goes wrong once.
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

/// A line for each part of each engine that is missing, whole or partly.
pub(super) fn missing(raw: &Raw) -> Vec<String> {
    ENGINES.into_iter().flat_map(|engine| of(raw, engine)).collect()
}

fn of(raw: &Raw, engine: &str) -> Vec<String> {
    let rows = PARTS.iter().filter_map(|&(name, promised)| {
        let rows = raw.rows.iter().filter(|row| row.engine == engine && part(row) == name);
        let times: Vec<_> = rows.map(|row| row.times).collect();
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
        let rows = vec![
            row("run", 2),
            row("run", 20),
            row("shim that is killed", 20),
            row("run, one request of it is refused", 7),
        ];
        let raw = Raw { rows, ..Raw::default() };
        insta::assert_snapshot!(of(&raw, "docker-28.5").join("\n"), @r"
        docker-28.5: kills, 20 times at 1 of 2 places (at least 2)
        docker-28.5: engines
        docker-28.5: many
        docker-28.5: speed
        ");
    }
}
