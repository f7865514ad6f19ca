//! A span as it is kept: what took time, how long, and what is known of it.

use std::fmt;
use std::time::{Instant, SystemTime};

use tracing::Level;
use tracing::field::{Field, Visit};

use super::context::{SpanId, TraceId};

/// The field in which a span says that it failed, and by whose fault.
pub(super) const FAILED: &str = "failed";

/// Something that took time.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) id: SpanId,
    pub(super) parent: Option<SpanId>,
    /// The trace that it is sent in; none where nothing is sent.
    pub(super) exported_in: Option<TraceId>,
    pub(super) name: &'static str,
    pub(super) begun: SystemTime,
    clock: Instant,
    /// In nanoseconds; known when it is over.
    pub(super) nanoseconds: u64,
    pub(super) fields: Fields,
    pub(super) events: Vec<Event>,
}

/// Something that happened in a span.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) at: SystemTime,
    pub(super) level: Level,
    pub(super) message: String,
    pub(super) fields: Fields,
}

/// What is known of it, in the order in which it became known.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Fields(Vec<(&'static str, Value)>);

/// One thing that is known.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Truth(bool),
}

impl Span {
    pub(super) fn begin(name: &'static str, parent: Option<SpanId>, exported_in: Option<TraceId>) -> Self {
        Self {
            id: SpanId::new(),
            parent,
            exported_in,
            name,
            begun: SystemTime::now(),
            clock: Instant::now(),
            nanoseconds: 0,
            fields: Fields::default(),
            events: Vec::new(),
        }
    }

    pub(super) fn end(&mut self) {
        self.nanoseconds = self.clock.elapsed().as_nanos().try_into().unwrap_or(u64::MAX);
    }

    pub(super) fn seconds(&self) -> f64 {
        self.nanoseconds as f64 / 1e9
    }
}

impl Fields {
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }

    /// Takes a field out.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.remove(at).1)
    }

    pub(super) fn set(&mut self, name: &'static str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field.name(), Value::Float(value));
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), Value::Integer(value));
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        let value = i64::try_from(value).map_or(Value::Float(value as f64), Value::Integer);
        self.set(field.name(), value);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), Value::Truth(value));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), Value::Text(value.to_owned()));
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field.name(), Value::Text(format!("{value:?}")));
    }
}

impl Value {
    /// As a figure, if it is one.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            Self::Text(_) | Self::Truth(_) => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Truth(value) => write!(f, "{value}"),
        }
    }
}
