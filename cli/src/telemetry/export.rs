//! Where spans are sent, as OpenTelemetry's environment says, and the sending.

use std::ffi::OsString;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::context::{Parent, Told, TraceId, VARIABLE};
use super::otlp;
use super::span::Span;
use crate::loopback::is_loopback;

/// How long the end of a command waits for a collector, unless the environment says so: less than OpenTelemetry's 10 s, which a job
/// with fifty commands would wait fifty times.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Where spans go, and what is said of us.
#[derive(Debug)]
pub(super) struct Export {
    url: Url,
    headers: HeaderMap,
    timeout: Duration,
    resource: Vec<(String, String)>,
    /// The span of another program that we are a part of.
    pub(super) parent: Option<Parent>,
}

/// Why spans were not sent. Without the address, whose path or user may be a secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("cannot start the event loop")]
    Runtime(#[source] std::io::Error),
    #[error("the collector was not reached: {0}")]
    Request(reqwest::Error),
}

impl Export {
    /// Nothing is sent where no endpoint is named, or one that is none, or where the trace that we are a part of is not kept.
    pub(super) fn of(variable: &impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let text = |name: &str| {
            let value = variable(name)?.into_string().ok()?.trim().to_owned();
            (!value.is_empty()).then_some(value)
        };
        let either = |name: &str| {
            text(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"))
                .or_else(|| text(&format!("OTEL_EXPORTER_OTLP_{name}")))
        };
        let is_off = text("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
            || text("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
        if is_off {
            return None;
        }
        let parent = match text(VARIABLE).and_then(|told| told.parse().ok()) {
            Some(Told::In(parent)) => Some(parent),
            Some(Told::Unsampled) => return None,
            None => None,
        };
        let url = match text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
            Some(whole) => whole,
            None => format!("{}/v1/traces", text("OTEL_EXPORTER_OTLP_ENDPOINT")?.trim_end_matches('/')),
        };
        let is_http = |url: &Url| matches!(url.scheme(), "http" | "https");
        let url = Url::parse(&url).ok().filter(is_http)?;
        let timeout = either("TIMEOUT").and_then(|text| text.parse().ok()).map(Duration::from_millis);
        let header = |(name, value): (String, String)| {
            let mut value = HeaderValue::try_from(value).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::try_from(name).ok()?, value))
        };
        Some(Self {
            url,
            headers: either("HEADERS")
                .map(|text| pairs(&text).filter_map(header).collect())
                .unwrap_or_default(),
            timeout: timeout.unwrap_or(TIMEOUT),
            resource: resource(&text),
            parent,
        })
    }

    /// Sends the spans, all at once.
    pub(super) fn send(&self, trace: TraceId, spans: &[Span]) -> Result<(), Error> {
        if spans.is_empty() {
            return Ok(());
        }
        let document = otlp::document(&self.resource, trace, spans).to_string();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let sending =
            async { self.post(document).await.map_err(|error| Error::Request(error.without_url())) };
        runtime.map_err(Error::Runtime)?.block_on(sending)
    }

    async fn post(&self, document: String) -> Result<(), reqwest::Error> {
        // It fails where a provider is there already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = reqwest::Client::builder()
            .timeout(self.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("ci-build/", env!("CARGO_PKG_VERSION")));
        if self.url.host_str().is_some_and(is_loopback) {
            // A proxy would look for this host's collector on its own host.
            client = client.no_proxy();
        }
        let request = client.build()?.post(self.url.clone()).headers(self.headers.clone());
        let request = request.header(CONTENT_TYPE, "application/json").body(document);
        request.send().await?.error_for_status()?;
        Ok(())
    }
}

/// `key=value,…`, percent-encoded: OpenTelemetry's form, which is that of W3C's Baggage.
fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    let decoded = |text: &str| percent_decode_str(text.trim()).decode_utf8_lossy().into_owned();
    text.split(',').filter_map(move |pair| {
        let (key, value) = pair.split_once('=')?;
        Some((decoded(key), decoded(value)))
    })
}

/// Who tells: what the environment says, over what we know ourselves.
fn resource(text: &impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let ours = [
        ("service.name", text("OTEL_SERVICE_NAME").unwrap_or_else(|| env!("CARGO_PKG_NAME").into())),
        ("service.version", env!("CARGO_PKG_VERSION").into()),
        ("host.name", host.trim().to_owned()),
    ];
    let mut resource: Vec<_> = ours.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    for (key, value) in text("OTEL_RESOURCE_ATTRIBUTES").iter().flat_map(|text| pairs(text)) {
        let is_named_apart = key == "service.name" && text("OTEL_SERVICE_NAME").is_some();
        match resource.iter_mut().find(|(known, _)| *known == key) {
            Some(_) if is_named_apart => {}
            Some((_, known)) => *known = value,
            None => resource.push((key, value)),
        }
    }
    resource
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Option<Export> {
        let find =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        Export::of(&find)
    }

    #[test]
    fn the_environment_says_where_to() {
        let url = |variables: &[(&str, &str)]| of(variables).map(|export| export.url.to_string());
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4318/");
        assert_eq!(url(&[]), None);
        assert_eq!(url(&[endpoint]).unwrap(), "http://a:4318/v1/traces");
        let whole = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://b/x");
        assert_eq!(url(&[endpoint, whole]).unwrap(), "https://b/x");
        assert_eq!(url(&[endpoint, ("OTEL_SDK_DISABLED", "true")]), None);
        assert_eq!(url(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]), None);
        assert_eq!(url(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "unix:///a")]), None);
        let unsampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
        assert_eq!(url(&[endpoint, (VARIABLE, unsampled)]), None);
    }

    #[test]
    fn headers_and_attributes_are_percent_encoded() {
        let export = of(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x, b=c,no header=1"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
            ("OTEL_SERVICE_NAME", "ours"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=theirs,team=a%2Cb"),
        ]);
        let export = export.unwrap();
        assert_eq!(export.headers["authorization"], "Bearer x");
        assert_eq!(export.headers.len(), 2);
        assert_eq!(export.timeout, Duration::from_millis(250));
        let has = |key: &str, value: &str| export.resource.contains(&(key.into(), value.into()));
        assert!(has("service.name", "ours") && has("team", "a,b"), "{:?}", export.resource);
        let shown = format!("{export:?}");
        assert!(!shown.contains("Bearer x"), "{shown}");
    }
}
