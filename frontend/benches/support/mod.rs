//! Dockerfiles of any size, for benches: stages in layers, each with two cache-mounting RUNs and a COPY from stages of the
//! layer before.

use std::fmt::Write;

/// A Dockerfile of this many stages. A third of the RUNs share one cache, a third one of `stages / 10` caches, a third lock
/// two of those in either order.
pub(crate) fn dockerfile(stages: usize) -> String {
    const LAYER: usize = 100;
    let groups = (stages / 10).max(1);
    let mut text = String::from("# syntax=docker/dockerfile:1\n");
    for stage in 0..stages {
        let group = (stage * 7919) % groups;
        let other = (group + 1) % groups;
        let _ = writeln!(text, "FROM debian:12 AS s{stage}");
        if stage >= LAYER {
            let _ = writeln!(text, "COPY --from=s{} /out /in", stage - LAYER);
        }
        let _ = writeln!(text, "RUN --mount=type=cache,target=/root/.m2 make --stage {stage}");
        let mounts = match stage % 3 {
            0 => format!("--mount=type=cache,id=g{group},target=/a"),
            1 => format!(
                "--mount=type=cache,id=g{group},target=/a,sharing=locked --mount=type=cache,id=g{other},target=/b,sharing=locked"
            ),
            _ => format!(
                "--mount=type=cache,id=g{group},target=/b,sharing=locked --mount=type=cache,id=g{other},target=/a,sharing=locked"
            ),
        };
        let _ =
            writeln!(text, "RUN {mounts} \\\n    make test --stage {stage} \\\n # nothing\n    --verbose");
    }
    let _ = writeln!(text, "FROM debian:12");
    for stage in stages.saturating_sub(LAYER)..stages {
        let _ = writeln!(text, "COPY --from=s{stage} /out /out/{stage}");
    }
    text
}
