//! Calls any method of any service by its descriptor, over gRPC or HTTP/JSON.

use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use prost::{
    Message,
    bytes::{Buf, BufMut, Bytes},
};
use prost_reflect::{DynamicMessage, MethodDescriptor, SerializeOptions};
use serde_json::Value as Json;
use tonic::{
    Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::MetadataValue,
    transport::Channel,
};

use super::clients::{Answer, Refusal, channel};

/// Every protocol.
pub(crate) const PROTOCOLS: &[Protocol] = &[Protocol::Grpc, Protocol::Json];

#[derive(Clone, Copy, Debug)]
pub(crate) enum Protocol {
    Grpc,
    /// HTTP/JSON, as `google.api.http` maps it.
    Json,
}

/// A caller over one protocol, with or without a token.
#[derive(Clone)]
pub(crate) struct Caller {
    protocol: Protocol,
    channel: Channel,
    url: String,
    token: Option<String>,
}

impl Protocol {
    pub(crate) fn connect(self, url: &str, token: Option<String>) -> Caller {
        Caller { protocol: self, channel: channel(url), url: url.to_owned(), token }
    }
}

impl Protocol {
    /// Whether a method can be called by it.
    pub(crate) fn can_call(self, method: &MethodDescriptor) -> bool {
        matches!(self, Self::Grpc) || jumun_core::contracts::option(method, "google.api.http").is_some()
    }
}

impl Caller {
    pub(crate) fn with_token(&self, token: Option<String>) -> Self {
        Self { token, ..self.clone() }
    }

    /// The answer of a method in canonical JSON; null for a stream, once it has begun.
    pub(crate) async fn call(&self, method: &MethodDescriptor, request: &Json) -> Answer<Json> {
        match self.protocol {
            Protocol::Grpc => self.call_grpc(method, request).await.map_err(|status| Refusal::new(&status)),
            Protocol::Json => self.call_json(method, request).await,
        }
    }

    async fn call_json(&self, method: &MethodDescriptor, request: &Json) -> Answer<Json> {
        let (verb, target, body) = mapped(method, request);
        let mut call = Request::builder().method(verb).uri(format!("{}{target}", self.url));
        if let Some(token) = &self.token {
            call = call.header("authorization", format!("Bearer {token}"));
        }
        if body != Json::Null {
            call = call.header("content-type", "application/json");
        }
        let body = if body == Json::Null { String::new() } else { body.to_string() };
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let answer = client.request(call.body(body.into()).expect("a request")).await.expect("an answer");
        let (status, body) = (answer.status(), answer.into_body());
        if status.is_success() && method.is_server_streaming() {
            return Ok(Json::Null);
        }
        let body = body.collect().await.expect("a whole answer").to_bytes();
        let json: Json = serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{error}: {body:?}"));
        if status.is_success() { Ok(json) } else { Err(refusal(&json)) }
    }

    async fn call_grpc(&self, method: &MethodDescriptor, request: &Json) -> Result<Json, Status> {
        let message = DynamicMessage::deserialize(method.input(), request).expect("a request of that method");
        let mut request = tonic::Request::new(message.encode_to_vec());
        if let Some(token) = &self.token {
            let header = MetadataValue::try_from(format!("Bearer {token}")).expect("ASCII");
            request.metadata_mut().insert("authorization", header);
        }
        let path = jumun_core::contracts::path(method).parse().expect("a path");
        let mut client = Grpc::new(self.channel.clone());
        client.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
        if method.is_server_streaming() {
            client.server_streaming(request, path, Wire).await?;
            return Ok(Json::Null);
        }
        let answer = client.unary(request, path, Wire).await?.into_inner();
        let answer = DynamicMessage::decode(method.output(), answer.as_slice()).expect("an answer of that method");
        let options = SerializeOptions::new();
        Ok(answer.serialize_with_options(serde_json::value::Serializer, &options).expect("JSON"))
    }
}

/// A request as HTTP: the verb, the path with its query, and the body.
pub(crate) fn mapped(method: &MethodDescriptor, request: &Json) -> (&'static str, String, Json) {
    let rule = jumun_core::contracts::option(method, "google.api.http").expect("a method with a mapping");
    let rule = rule.as_message().expect("a rule").clone();
    let text = |field: &str| rule.get_field_by_name(field).and_then(|text| text.as_str().map(str::to_owned));
    let text = |field: &str| text(field).unwrap_or_default();
    let verbs = [("GET", "get"), ("POST", "post"), ("PUT", "put"), ("DELETE", "delete"), ("PATCH", "patch")];
    let mapping = verbs.into_iter().find(|(_, field)| !text(field).is_empty());
    let (verb, template) = mapping.map(|(verb, field)| (verb, text(field))).expect("a mapping");
    let mut rest = request.as_object().expect("fields").clone();
    let path = match template.split_once("{name=").and_then(|(before, after)| Some((before, after.split_once('}')?))) {
        Some((before, (_, after))) => {
            let name = rest.remove("name").expect("a name");
            format!("{before}{}{after}", name.as_str().expect("text"))
        }
        None => template,
    };
    let body = match text("body").as_str() {
        "" => Json::Null,
        "*" => Json::Object(std::mem::take(&mut rest)),
        field => rest.remove(field).expect("the body"),
    };
    let query: Vec<_> =
        rest.iter().map(|(field, value)| format!("{field}={}", value.as_str().expect("text"))).collect();
    let mark = if query.is_empty() { "" } else { "?" };
    (verb, format!("{path}{mark}{}", query.join("&")), body)
}

/// A `google.rpc.Status` in JSON, read as a client reads it.
fn refusal(status: &Json) -> Refusal {
    let code = status["code"].as_i64().and_then(|code| i32::try_from(code).ok());
    let details = status["details"].as_array().map(Vec::as_slice).unwrap_or_default();
    let reason = details.iter().find_map(|detail| detail["reason"].as_str()).unwrap_or_default().to_owned();
    Refusal {
        code: code.unwrap_or_else(|| panic!("no status: {status}")).into(),
        reason,
        message: status["message"].as_str().unwrap_or_default().to_owned(),
        metadata: Default::default(),
        retry_after: None,
    }
}

/// Messages as they are on the wire.
#[derive(Clone, Copy)]
struct Wire;

impl Codec for Wire {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Wire {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Wire {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut message = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut message);
        Ok(Some(message))
    }
}
