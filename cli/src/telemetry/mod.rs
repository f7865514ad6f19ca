//! What the command tells of itself to those who run hosts: logs on stderr, spans for a collector, figures for Prometheus
//! (docs/observability.md). Silent unless the environment asks.
//!
//! The rooms say what takes time by the spans and events of `tracing`, once; [`log`], [`otlp`] and [`metrics`] are three
//! views of them. Only what this crate says is told: what libraries log may hold secrets. Spans name stores, images and
//! registries, and never command lines, addresses or what others wrote.

mod collect;
mod context;
mod export;
mod log;
mod metrics;
mod otlp;
mod page;
mod span;

use std::ffi::OsString;
use std::process::Command;
use std::sync::Arc;

use tracing::{Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry};

use collect::{Collect, Collector};
use export::Export;
use metrics::File;
use span::Span;

pub use log::Error;
pub use metrics::{Figure, HOLDERS, Metric, WAITERS};
pub use page::page;

/// The span of a wait for a store's lock. When it is over the figures are written: who holds the lock is to be seen while
/// they do.
pub const LOCK: &str = "lock";

/// What is told, for as long as one command runs.
#[derive(Debug, Default)]
pub struct Telemetry {
    collector: Option<Arc<Collector>>,
    export: Option<Export>,
}

impl Telemetry {
    /// Begins to tell what the environment asks for. `gauges` says how things stand whenever figures are written.
    ///
    /// # Errors
    /// When `CI_BUILD_LOG` or `CI_BUILD_LOG_FORMAT` mean nothing. A collector or a file that cannot be had is no error: what is
    /// told of a command is less than the command.
    pub fn start(
        variable: impl Fn(&str) -> Option<OsString>,
        gauges: fn() -> Vec<Figure>,
    ) -> Result<Self, Error> {
        let (log, export) = (log::layer(&variable)?, Export::of(&variable));
        let file = File::of(&variable, gauges);
        let collector = (export.is_some() || file.is_some()).then(|| {
            let parent = export.as_ref().and_then(|export| export.parent);
            Arc::new(Collector::new(parent, export.is_some(), file))
        });
        let collect = collector.as_ref().map(|collector| {
            let ours = Targets::new().with_target(log::OURS, Level::INFO);
            Collect(Arc::clone(collector)).with_filter(ours).boxed()
        });
        let layers: Vec<_> = log.into_iter().chain(collect).collect();
        if !layers.is_empty() {
            // It fails where somebody in this process tells already, as a test may.
            let _ = tracing::subscriber::set_global_default(Registry::default().with(layers));
        }
        Ok(Self { collector, export })
    }

    /// Writes the figures and sends the spans. Whoever cannot be reached within the time that the environment gives is
    /// told nothing.
    pub fn finish(self) {
        let Some(collector) = self.collector else { return };
        collector.write_figures();
        if let Some(export) = self.export {
            let (trace, spans) = (collector.trace, collector.take());
            if let Err(error) = export.send(trace, &spans) {
                tracing::warn!(%error, "the spans were not sent");
            }
        }
    }
}

/// Tells a command that is about to be started which span it is a part of, where spans are sent: `TRACEPARENT`, as of W3C's
/// Trace Context. BuildKit's clients read it (moby/buildkit, util/tracing/env).
pub fn pass_on(command: &mut Command) {
    if let Some(parent) = current() {
        command.env(context::VARIABLE, parent.to_string());
    }
}

fn current() -> Option<context::Parent> {
    let id = tracing::Span::current().id()?;
    tracing::dispatcher::get_default(|dispatch| {
        let span = dispatch.downcast_ref::<Registry>()?.span(&id)?;
        let of = |span: &Span| span.exported_in.map(|trace| context::Parent { trace, span: span.id });
        span.extensions().get::<Span>().and_then(of)
    })
}

/// A subscriber that layers can look spans up in.
trait Spans: Subscriber + for<'a> LookupSpan<'a> {}
impl<S: Subscriber + for<'a> LookupSpan<'a>> Spans for S {}
