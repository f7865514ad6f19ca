//! Spans as OpenTelemetry writes them: the JSON form of OTLP 1 (opentelemetry-proto, `ExportTraceServiceRequest`; ids are
//! hexadecimal, 64-bit integers are strings).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value as Json, json};

use super::context::TraceId;
use super::span::{Event, FAILED, Fields, Span, Value};

/// Within one process.
const INTERNAL: u8 = 1;

/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

/// The field that names a span more exactly than its place in the code does, as other bridges from `tracing` have it.
const NAME: &str = "otel.name";

/// One request: spans of one trace, and who they are from.
pub(super) fn document(resource: &[(String, String)], trace: TraceId, spans: &[Span]) -> Json {
    let resource: Vec<_> = resource
        .iter()
        .map(|(key, value)| json!({ "key": key, "value": { "stringValue": value } }))
        .collect();
    let spans: Vec<_> = spans.iter().map(|span| of_span(trace, span)).collect();
    json!({
        "resourceSpans": [{
            "resource": { "attributes": resource },
            "scopeSpans": [{
                "scope": { "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") },
                "spans": spans,
            }],
        }],
    })
}

fn of_span(trace: TraceId, span: &Span) -> Json {
    let name = span.fields.get(NAME).map_or_else(|| span.name.to_owned(), Value::to_string);
    let end = span.begun + Duration::from_nanos(span.nanoseconds);
    let mut document = json!({
        "traceId": trace.to_string(),
        "spanId": span.id.to_string(),
        "name": name,
        "kind": INTERNAL,
        "startTimeUnixNano": nanoseconds(span.begun),
        "endTimeUnixNano": nanoseconds(end),
        "attributes": attributes(&span.fields),
        "events": span.events.iter().map(of_event).collect::<Vec<_>>(),
    });
    if let Some(parent) = span.parent {
        document["parentSpanId"] = parent.to_string().into();
    }
    if let Some(by) = span.fields.get(FAILED) {
        document["status"] = json!({ "code": ERROR, "message": by.to_string() });
    }
    document
}

fn of_event(event: &Event) -> Json {
    let mut fields = attributes(&event.fields);
    fields.push(json!({ "key": "level", "value": { "stringValue": event.level.as_str() } }));
    json!({ "timeUnixNano": nanoseconds(event.at), "name": event.message, "attributes": fields })
}

fn attributes(fields: &Fields) -> Vec<Json> {
    let fields = fields.iter().filter(|(name, _)| *name != NAME);
    fields.map(|(name, value)| json!({ "key": name, "value": of_value(value) })).collect()
}

fn of_value(value: &Value) -> Json {
    match value {
        Value::Text(text) => json!({ "stringValue": text }),
        Value::Integer(value) => json!({ "intValue": value.to_string() }),
        Value::Float(value) => json!({ "doubleValue": value }),
        Value::Truth(value) => json!({ "boolValue": value }),
    }
}

fn nanoseconds(time: SystemTime) -> String {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;
    use crate::telemetry::context::{Parent, Told};

    #[test]
    fn a_span_is_written_as_the_protocol_has_it() {
        let Ok(Told::In(Parent { trace, span })) =
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse()
        else {
            panic!("unread")
        };
        let mut fields = Fields::default();
        fields.set(NAME, Value::Text("ci-build lock".into()));
        fields.set("holders", Value::Integer(2));
        fields.set("seconds", Value::Float(0.5));
        fields.set("nested", Value::Truth(false));
        fields.set(FAILED, Value::Text("holder".into()));
        let begun = UNIX_EPOCH + Duration::from_secs(1);
        let event =
            Event { at: begun, level: Level::INFO, message: "waits".into(), fields: Fields::default() };
        let mut written = Span::begin("command", Some(span), Some(trace));
        (written.id, written.begun, written.nanoseconds) = (span, begun, 5);
        (written.fields, written.events) = (fields, vec![event]);
        let document = document(&[("service.name".into(), "ci-build".into())], trace, &[written]);
        let spans = &document["resourceSpans"][0]["scopeSpans"][0]["spans"];
        assert_eq!(document["resourceSpans"][0]["resource"]["attributes"][0]["key"], "service.name");
        insta::assert_snapshot!(spans, @r#"[{"attributes":[{"key":"holders","value":{"intValue":"2"}},{"key":"seconds","value":{"doubleValue":0.5}},{"key":"nested","value":{"boolValue":false}},{"key":"failed","value":{"stringValue":"holder"}}],"endTimeUnixNano":"1000000005","events":[{"attributes":[{"key":"level","value":{"stringValue":"INFO"}}],"name":"waits","timeUnixNano":"1000000000"}],"kind":1,"name":"ci-build lock","parentSpanId":"00f067aa0ba902b7","spanId":"00f067aa0ba902b7","startTimeUnixNano":"1000000000","status":{"code":2,"message":"holder"},"traceId":"4bf92f3577b34da6a3ce929d0e0e4736"}]"#);
    }
}
