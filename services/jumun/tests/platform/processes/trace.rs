//! Collected traces: by a collector of the test's own, or by Jaeger.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value::Value,
    resource::v1::Resource,
};
use serde_json::Value as Json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// The names of OTLP's span kinds, by their numbers.
const KINDS: [&str; 6] = ["unspecified", "internal", "server", "client", "producer", "consumer"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) trace: String,
    pub(crate) id: String,
    /// "" for a root.
    pub(crate) parent: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) service: String,
    /// The version of the process.
    pub(crate) version: String,
}

/// The collector of the spans.
pub(crate) enum Collector {
    Own(Sink),
    Jaeger { otlp: String, query: String },
}

impl Collector {
    /// Where the platform sends its spans.
    pub(crate) fn endpoint(&self) -> String {
        match self {
            Self::Own(sink) => sink.endpoint(),
            Self::Jaeger { otlp, .. } => otlp.clone(),
        }
    }

    /// The spans of a trace that have arrived.
    pub(crate) async fn spans(&self, trace: &str) -> Vec<Span> {
        match self {
            Self::Own(sink) => sink.spans(trace),
            Self::Jaeger { query, .. } => ask_jaeger(query, trace).await.unwrap_or_default(),
        }
    }
}

/// An OTLP collector within the test.
pub(crate) struct Sink {
    address: SocketAddr,
    spans: Spans,
    serving: AbortHandle,
}

#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Span>>>, Arc<Mutex<Vec<String>>>);

impl Sink {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (address, spans) = (listener.local_addr().expect("an address"), Spans::default());
        let service = TraceServiceServer::new(spans.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        let serving = tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener))).abort_handle();
        Self { address, spans, serving }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every span with everything in it, as text.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.spans.1.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn spans(&self, trace: &str) -> Vec<Span> {
        let spans = self.spans.0.lock().unwrap_or_else(PoisonError::into_inner);
        spans.iter().filter(|span| span.trace == trace).cloned().collect()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[tonic::async_trait]
impl TraceService for Spans {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut texts = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        let mut spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for group in request.into_inner().resource_spans {
            let resource = group.resource.unwrap_or_default();
            let [service, version] = ["service.name", "service.version"].map(|key| attribute(&resource, key));
            for span in group.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                texts.push(format!("{span:?}"));
                let kind = usize::try_from(span.kind).ok().and_then(|kind| KINDS.get(kind)).unwrap_or(&"");
                spans.push(Span {
                    trace: hex(&span.trace_id),
                    id: hex(&span.span_id),
                    parent: hex(&span.parent_span_id),
                    name: span.name,
                    kind: (*kind).to_owned(),
                    service: service.clone(),
                    version: version.clone(),
                });
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn attribute(resource: &Resource, key: &str) -> String {
    let name = resource.attributes.iter().find(|attribute| attribute.key == key);
    match name.and_then(|name| name.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(name)) => name.clone(),
        _ => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// None while Jaeger knows nothing of the trace.
async fn ask_jaeger(query: &str, trace: &str) -> Option<Vec<Span>> {
    let answer = get(query, &format!("/api/traces/{trace}")).await;
    let trace = serde_json::from_str::<Json>(&answer).ok()?["data"].get(0)?.clone();
    let spans = trace["spans"].as_array()?;
    Some(spans.iter().map(|span| jaeger_span(span, &trace["processes"])).collect())
}

fn jaeger_span(span: &Json, processes: &Json) -> Span {
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let tags = span["tags"].as_array().map(Vec::as_slice).unwrap_or_default();
    let kind = tags.iter().find(|tag| tag["key"] == "span.kind").map(|tag| text(&tag["value"]));
    let process = &processes[span["processID"].as_str().unwrap_or_default()];
    let tags = process["tags"].as_array().map(Vec::as_slice).unwrap_or_default();
    let version = tags.iter().find(|tag| tag["key"] == "service.version").map(|tag| text(&tag["value"]));
    Span {
        trace: text(&span["traceID"]),
        id: text(&span["spanID"]),
        parent: text(&span["references"][0]["spanID"]),
        name: text(&span["operationName"]),
        kind: kind.unwrap_or_default(),
        service: text(&process["serviceName"]),
        version: version.unwrap_or_default(),
    }
}

/// The body of an HTTP answer.
async fn get(server: &str, path: &str) -> String {
    let mut connection = TcpStream::connect(server.trim_start_matches("http://")).await.expect("the server listens");
    connection.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.expect("a request");
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.expect("an answer");
    let answer = String::from_utf8_lossy(&answer);
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
}
