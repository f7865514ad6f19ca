//! Input that nobody should give: an error or a build, and never a hang.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use xtask::build;
use xtask::engines::Kind;

use super::Selection;
use super::observe::{self, Usage};
use super::raw::Odd;
use super::situation::lab_file;
use super::strategy::Strategy;
use crate::Subject;

/// One such input.
struct Input {
    name: &'static str,
    /// The Dockerfile.
    text: fn() -> Result<String>,
    /// The build argument `ODD`, for what the command line can carry.
    argument: Option<&'static str>,
    strategies: &'static [&'static str],
    /// None: on all of them.
    only: Option<Kind>,
    limit: Duration,
}

const EACH: &[&str] = &["upstream", "auto", "lock", "order", "namespace"];
const USUAL: Input = Input {
    name: "",
    text: || Ok(two_stages("${ODD}")),
    argument: None,
    strategies: EACH,
    only: None,
    limit: Duration::from_secs(60),
};

const INPUTS: [Input; 9] = [
    Input { name: "id with a newline", argument: Some("a\nb"), ..USUAL },
    Input { name: "id ..", argument: Some(".."), ..USUAL },
    Input { name: "id ../../etc", argument: Some("../../etc"), ..USUAL },
    Input { name: "id with quotes, comma, tab", argument: Some("a\"b,c='\td"), ..USUAL },
    Input { name: "id with NUL", text: || Ok(two_stages("a\0b")), ..USUAL },
    Input { name: "line of more than 64 KiB", text: || Ok(two_stages(&"k".repeat(64 << 10))), ..USUAL },
    Input { name: "id of 64 KiB", text: || Ok(long_id()), ..USUAL },
    Input {
        name: "caches in an order that the stages contradict",
        text: || fs::read_to_string(lab_file("order-against-order")).context("it is in testdata"),
        strategies: &["upstream", "auto", "lock", "order", "prime", "namespace"],
        ..USUAL
    },
    Input {
        name: "2,000 steps on one cache",
        text: || Ok(many_steps()),
        strategies: &["auto"],
        only: Some(Kind::Docker28_5),
        // 2,000 containers one after the other, each of which takes 0.2 to 0.4 seconds.
        limit: Duration::from_secs(1500),
        ..USUAL
    },
];

/// Two that race, if the id is one.
fn two_stages(id: &str) -> String {
    let stage = |name| {
        format!(
            "FROM local/busybox AS {name}\nARG ODD\nRUN --mount=type=cache,id={id},target=/cache touch /{name}\n"
        )
    };
    format!("{}{}FROM local/busybox\nCOPY --from=a /a /\nCOPY --from=b /b /\n", stage("a"), stage("b"))
}

/// In two halves, because no line may be that long.
fn long_id() -> String {
    let half = "k".repeat(32 << 10);
    let stages = two_stages("${ODD}").replace("ARG ODD\n", "ARG ONE\nARG TWO\nARG ODD=${ONE}${TWO}\n");
    format!("ARG ONE={half}\nARG TWO={half}\n{stages}")
}

/// Twenty stages of a hundred: an image has at most 127 layers.
fn many_steps() -> String {
    let mut text = String::new();
    for stage in 0..20 {
        writeln!(text, "FROM local/busybox AS s{stage}").expect("a string takes all");
        for step in 0..100 {
            writeln!(text, "RUN --mount=type=cache,id=many,target=/cache echo {step} > /s{stage}")
                .expect("a string takes all");
        }
    }
    text.push_str("FROM local/busybox\n");
    (0..20).for_each(|stage| {
        writeln!(text, "COPY --from=s{stage} /s{stage} /").expect("a string takes all");
    });
    text
}

/// All inputs for an engine.
///
/// # Errors
/// When the laboratory itself fails.
pub(super) fn run(subject: &Subject, selection: &Selection) -> Result<Vec<Odd>> {
    let mut odd = Vec::new();
    for input in INPUTS.iter().filter(|input| input.only.is_none_or(|kind| kind == subject.engine.kind())) {
        let dir = tempfile::tempdir().context("cannot create a directory")?;
        let dockerfile = dir.path().join("Dockerfile");
        fs::write(&dockerfile, (input.text)()?).context("cannot write a Dockerfile")?;
        for name in input.strategies.iter().filter(|name| selection.has_strategy(name)) {
            let strategy = Strategy::named(name).with_context(|| format!("{name} is no strategy"))?;
            let run = one(subject, strategy, input, &dockerfile)?;
            eprintln!(
                "{} {}, {name}: {:?}, {} ms {}",
                subject.engine.kind().name(),
                input.name,
                run.ended,
                run.wall_ms,
                run.error.as_deref().unwrap_or_default()
            );
            odd.push(Odd {
                input: input.name.to_owned(),
                engine: subject.engine.kind().name().to_owned(),
                strategy: strategy.name.to_owned(),
                run,
            });
        }
    }
    Ok(odd)
}

fn one(subject: &Subject, strategy: &Strategy, input: &Input, dockerfile: &Path) -> Result<super::raw::Run> {
    build::forget(&subject.client)?;
    let before = Usage::of(&subject.client)?;
    let build = strategy.build(subject, dockerfile)?.limit(input.limit);
    let build = match input.argument {
        Some(value) => build.argument(&format!("--build-arg=ODD={value}")),
        None => build,
    };
    observe::run(&subject.client, &build.run()?, "", None, &before)
}
