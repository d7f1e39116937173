//! What hostile clients do.

use std::net::SocketAddr;

use contracts::order::v1::{CreateOrderRequest, order_service_client::OrderServiceClient};
use futures::{StreamExt, future::join_all, stream};
use h2::{Reason, client::SendRequest};
use prost::bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::Code;

use super::bomb::bomb;
use crate::platform::processes::clients::{channel, wish};

const CREATE_ORDER: &str = "/jumun.order.v1.OrderService/CreateOrder";
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const LARGE: usize = 5 * 1024 * 1024;
const UNPACKED: usize = 100 * 1024 * 1024;
/// Concurrent large bodies and bombs.
const AT_ONCE: usize = 16;
/// Resets on one connection, if it stays open.
const RESETS_IN_A_ROW: usize = 200;

/// The preface of HTTP/2, empty settings, and headers that never end (a frame of one byte, without END_HEADERS).
const ENDLESS_HEADERS: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\0\0\0\0\x01\x82";

/// Connections that never send a request: nothing, half a preface, or half a head.
pub(super) async fn half_open(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let said: [&'static [u8]; 3] = [b"", b"PRI * HTTP/2.0\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nCookie: "];
    say(address, said.into_iter().cycle().take(count)).await
}

/// Connections whose headers never end; the server's pings detect them.
pub(super) async fn endless_headers(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    say(address, std::iter::repeat_n(ENDLESS_HEADERS, count)).await
}

async fn say(address: SocketAddr, said: impl Iterator<Item = &'static [u8]>) -> Vec<TcpStream> {
    let mut connections = Vec::new();
    for bytes in said {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.write_all(bytes).await.expect("room");
        connections.push(stream);
    }
    connections
}

/// Done when the server closed every connection.
pub(super) async fn all_let_go(mut connections: Vec<TcpStream>) {
    let ended = connections.iter_mut().map(|stream| async move {
        let mut answer = Vec::new();
        // A reset is an end, too.
        let _ = stream.read_to_end(&mut answer).await;
    });
    join_all(ended).await;
}

/// Streams that are opened and reset at once.
pub(super) async fn rapid_resets(address: SocketAddr, count: usize) {
    let mut done = 0;
    while done < count {
        let Some(mut client) = connect(address).await else { continue };
        for _ in 0..RESETS_IN_A_ROW.min(count - done) {
            let Ok(ready) = client.ready().await else { break };
            client = ready;
            let Ok((_, mut stream)) = client.send_request(request(CREATE_ORDER, None), false) else { break };
            stream.send_reset(Reason::CANCEL);
            done += 1;
        }
    }
}

/// Messages over the size limit.
pub(super) async fn large_bodies(address: SocketAddr, count: usize) {
    let url = format!("http://{address}");
    let sending = stream::iter(0..count).for_each_concurrent(AT_ONCE, |index| {
        let mut client = OrderServiceClient::new(channel(&url));
        async move {
            let mut order = wish("tok_visa");
            order.customer = "c".repeat(LARGE);
            let request = CreateOrderRequest { order: Some(order), request_id: format!("large-{index}") };
            let status = client.create_order(request).await.expect_err("too large");
            assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
        }
    });
    sending.await;
}

/// Messages that would become large when decompressed.
pub(super) async fn gzip_bombs(address: SocketAddr, count: usize) {
    let packed = bomb(UNPACKED);
    let length = u32::try_from(packed.len()).expect("small").to_be_bytes();
    let message = [&[1], &length[..], &packed].concat();
    let sending = stream::iter(0..count).for_each_concurrent(AT_ONCE, |_| {
        let message = message.clone();
        async move {
            let client = connect(address).await.expect("a connection");
            let mut client = client.ready().await.expect("room");
            let (answer, mut stream) =
                client.send_request(request(CREATE_ORDER, Some("gzip")), false).expect("a stream");
            stream.reserve_capacity(message.len());
            // It may be refused before it is sent completely.
            let _ = stream.send_data(message.into(), true);
            let answer = answer.await.expect("an answer");
            let code = answer.headers().get("grpc-status").expect("it is refused at once");
            assert_eq!(code, "12", "UNIMPLEMENTED");
        }
    });
    sending.await;
}

/// The code of reflection's immediate answer; None: the stream is open and waits for a request.
pub(super) async fn open_reflection(address: SocketAddr) -> Option<String> {
    let client = connect(address).await.expect("a connection");
    let mut client = client.ready().await.expect("room");
    let (answer, _stream) = client.send_request(request(REFLECTION, None), false).expect("a stream");
    let code = answer.await.expect("an answer").headers().get("grpc-status")?.to_str().ok()?.to_owned();
    Some(code)
}

async fn connect(address: SocketAddr) -> Option<SendRequest<Bytes>> {
    let stream = TcpStream::connect(address).await.ok()?;
    let (client, connection) = h2::client::handshake(stream).await.ok()?;
    // It ends with the server's GOAWAY.
    tokio::spawn(connection);
    Some(client)
}

fn request(path: &str, encoding: Option<&str>) -> http::Request<()> {
    let mut request = http::Request::post(format!("http://localhost{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if let Some(encoding) = encoding {
        request = request.header("grpc-encoding", encoding);
    }
    request.body(()).expect("a request")
}
