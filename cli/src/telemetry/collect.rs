//! Keeps the spans of this process, until they are counted and sent.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tracing::Event as Told;
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::layer::{Context, Layer};

use super::context::{Parent, TraceId};
use super::metrics::File;
use super::span::{Event, Fields, Span, Value};
use super::{LOCK, Spans};

/// More spans than this are not kept: a command that runs for weeks would keep them all.
const MOST: usize = 10_000;

/// The spans that are over.
#[derive(Debug)]
pub(super) struct Collector {
    pub(super) trace: TraceId,
    parent: Option<Parent>,
    is_sent: bool,
    file: Option<File>,
    over: Mutex<Over>,
}

#[derive(Debug, Default)]
struct Over {
    spans: Vec<Span>,
    /// So many of them are in the figures already.
    counted: usize,
}

impl Collector {
    /// For the spans of a process that is a part of `parent`, or begins a trace of its own.
    pub(super) fn new(parent: Option<Parent>, is_sent: bool, file: Option<File>) -> Self {
        let trace = parent.map_or_else(TraceId::new, |parent| parent.trace);
        Self { trace, parent, is_sent, file, over: Mutex::default() }
    }

    /// Adds what has happened since the last time to the file of figures, where there is one.
    pub(super) fn write_figures(&self) {
        let Some(file) = &self.file else { return };
        let mut over = self.over();
        let Over { spans, counted } = &mut *over;
        match file.add(&spans[*counted..]) {
            Ok(()) => *counted = spans.len(),
            // The next time counts them.
            Err(error) => tracing::warn!(%error, "the figures were not written"),
        }
    }

    /// All spans that are over.
    pub(super) fn take(&self) -> Vec<Span> {
        std::mem::take(&mut *self.over()).spans
    }

    fn add(&self, span: Span) {
        let is_lock = span.name == LOCK;
        let mut over = self.over();
        if over.spans.len() < MOST {
            over.spans.push(span);
        }
        drop(over);
        if is_lock {
            self.write_figures();
        }
    }

    fn over(&self) -> MutexGuard<'_, Over> {
        // What panicked left them as they were.
        self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands spans that are over to a collector.
pub(super) struct Collect(pub(super) Arc<Collector>);

impl<S: Spans> Layer<S> for Collect {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let above = span.parent().and_then(|above| above.extensions().get::<Span>().map(|above| above.id));
        let parent = above.or(self.0.parent.map(|parent| parent.span));
        let mut begun =
            Span::begin(attributes.metadata().name(), parent, self.0.is_sent.then_some(self.0.trace));
        attributes.record(&mut begun.fields);
        span.extensions_mut().insert(begun);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(span) = span.extensions_mut().get_mut::<Span>() {
            values.record(&mut span.fields);
        }
    }

    fn on_event(&self, event: &Told<'_>, context: Context<'_, S>) {
        let Some(span) = context.event_span(event) else { return };
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = match fields.take("message") {
            Some(Value::Text(message)) => message,
            _ => event.metadata().name().to_owned(),
        };
        let event = Event { at: SystemTime::now(), level: *event.metadata().level(), message, fields };
        if let Some(span) = span.extensions_mut().get_mut::<Span>() {
            span.events.push(event);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let over = span.extensions_mut().remove::<Span>();
        if let Some(mut over) = over {
            over.end();
            self.0.add(over);
        }
    }
}
