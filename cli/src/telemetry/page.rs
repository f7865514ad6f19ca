//! docs/observability.md, made of what there is to tell.

use super::metrics;

const HEAD: &str = r#"# Observability

`ci-build` says what it does to whoever ran it, and nothing more. Three variables have it tell more, to those who run the host:

| variable | what comes |
|---|---|
| `CI_BUILD_LOG` | a log on stderr |
| `OTEL_EXPORTER_OTLP_ENDPOINT` | spans, to an OpenTelemetry collector |
| `CI_BUILD_METRICS` | figures, in a file for Prometheus' node_exporter |

They are variables and neither flags nor settings of a project, so that all that runs on a host tells the same. A runner sets
them for its jobs, `/etc/default/ci-build` for the units of the Debian package ([install.md](install.md)).

Nothing that is told decides how a command ends: a collector that does not answer, a file that cannot be written, are a line in the
log and no more. Only a `CI_BUILD_LOG` or `CI_BUILD_LOG_FORMAT` that means nothing ends a command, with exit code 2.

Told are commands, stores, images, registries, figures and how something ended. Never told are command lines, build
arguments, environments, addresses, logins, and what libraries log.

## The log

    CI_BUILD_LOG=info ci-build pull debian:12
    CI_BUILD_LOG=warn,store=debug CI_BUILD_LOG_FORMAT=json ci-build lock -- make

A level (`error`, `warn`, `info`, `debug`, `trace`, `off`), or levels for single modules, such as `store=debug` or
`registry::fetch=trace`. `info` says how long each span took. With `CI_BUILD_LOG_FORMAT=json` each line is a JSON object with
`timestamp`, `level`, `target`, `message`, the span in `span` and those around it in `spans`; without, a line of text. Messages for
people stay on stderr beside it, and what a script reads stays alone on stdout.

## Spans

| span | from, to | fields |
|---|---|---|
| `command`, called `ci-build NAME` | all of a command | `command`, `failed` |
| `lock` | a request for a store's lock | `store`, `mode`, `outcome`: `had`, `waited`, `nested`, `gave-up` |
| `build` | buildx | `exit_code`, `outcome`: `fine`, `failed`, `timeout`, `ownerless`, `signal`, `not-started`, `lost` |
| `run` | docker run | the same |
| `pull` | one image | `image`, `outcome`: `local`, `present`, `fetched`; an event `got` for each `source` |
| `prune` | one prune | `store`, `outcome`: `done`, `dry-run`, `skipped`, `failed`; `deleted`, `failures`, `freed_bytes`; an event for each `deleted` and `failed` thing with its `kind` |
| `recover` | one recovery | `outcome`: `done`, `dry-run`, `unfinished`, `busy`, `failed`; `freed_bytes`; an event for each `removed` thing, and for each that `failed` |
| `sweep` | one directory | `outcome`, `removed`, `failures`, `freed_bytes` |

Spans are sent when the command ends, in one request of OTLP's JSON form over HTTP; collectors take it on the port of `http/protobuf`,
which is 4318. gRPC (4317) is not spoken. What OpenTelemetry's specification says of these variables holds:

`OTEL_EXPORTER_OTLP_ENDPOINT` and `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, `…_HEADERS`, `…_TIMEOUT` (in milliseconds; ours is 2000 unless it is
given, since a command's end waits for it), `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_EXPORTER=none`,
`OTEL_SDK_DISABLED=true`, and `TRACEPARENT` of W3C's Trace Context: spans become part of the trace of whoever started us, and what we
start, buildx and docker among it, is told the same. A trace that is not sampled is not sent.

A command that is killed by SIGKILL sends nothing and counts nothing. At most 10,000 spans of one command are kept.

## Figures

    CI_BUILD_METRICS=/var/lib/prometheus/node-exporter/ci-build.prom

Give node_exporter `--collector.textfile.directory` with that directory. Each command adds to the file, under a lock beside it
(`.ci-build.prom.lock`), and replaces it as a whole: a reader never sees a part, and of two commands that end at once both count. Where
several users' commands add to one file, its directory has to be writable for a group of all of them, as for
`/var/lib/ci-build` ([locks.md](locks.md)). Counters are kept in the file alone; when it is removed they begin at 0.

Holders and waiters are counted when a lock is taken and when a command ends. After a `kill -9` they are as of before, until the next
command of the host.

Alerts to begin with:

    rate(ci_build_lock_wait_seconds_total[15m]) > 5      # five jobs wait all the time
    increase(ci_build_prunes_total{outcome="done"}[2h]) == 0
    increase(ci_build_prune_failures_total[1h]) > 0
    rate(ci_build_pulls_total{source="docker.io"}[1h]) > 0    # past the mirror

| metric | kind | labels | |
|---|---|---|---|
"#;

const TAIL: &str = "\nThis page is written by `cargo xtask docs`.\n";

/// The page.
pub fn page() -> String {
    format!("{HEAD}{}{TAIL}", metrics::page())
}
