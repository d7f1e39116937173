//! The webhook against a real HTTP receiver, which verifies what it gets as its documentation says.

#![allow(clippy::disallowed_methods, reason = "tests may sleep and spawn as they like")]

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use contracts::notification::v1::{
    GetNotificationRequest, Notification, SendNotificationRequest, WithdrawNotificationRequest,
    notification::{Channel, State},
    notification_service_client::NotificationServiceClient,
};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use jumun_core::reason_of;
use ring::hmac;
use rpc::GrpcStack;
use testkit::TestCluster;
use tokio::net::TcpListener;
use tonic::{Code, Status};

const SECRET: [u8; 32] = [7; 32];
/// Longer than somebody waits, and than every pause of the recovery.
const LATER: Duration = Duration::from_secs(13);

/// What the receiver does with the next requests; the last one stays.
#[derive(Clone, Copy, Debug)]
enum Mood {
    Answer(u16),
    /// Takes it, and never answers.
    Silence,
}

#[derive(Clone)]
struct Receiver {
    address: SocketAddr,
    moods: Arc<Mutex<Vec<Mood>>>,
    /// What was verified: the key and the body.
    received: Arc<Mutex<Vec<(String, serde_json::Value)>>>,
}

impl Receiver {
    async fn open(moods: &[Mood]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let receiver = Self {
            address: listener.local_addr().expect("an address"),
            moods: Arc::new(Mutex::new(moods.iter().rev().copied().collect())),
            received: Arc::default(),
        };
        let served = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let receiver = served.clone();
                let service = service_fn(move |request| {
                    let receiver = receiver.clone();
                    async move { Ok::<_, Infallible>(receiver.receive(request).await) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        receiver
    }

    async fn receive(&self, request: Request<Incoming>) -> Response<Empty<Bytes>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let (id, body) = verified(&parts.headers, &body);
        self.received.lock().expect("no panic").push((id, body));
        let mood = {
            let mut moods = self.moods.lock().expect("no panic");
            if moods.len() > 1 { moods.pop() } else { moods.last().copied() }
        };
        match mood.expect("a mood") {
            Mood::Answer(status) => {
                let answer = Response::builder().status(StatusCode::from_u16(status).expect("a status"));
                let elsewhere = format!("http://{}/elsewhere", self.address);
                answer.header("location", elsewhere).body(Empty::new()).expect("an answer")
            }
            Mood::Silence => std::future::pending().await,
        }
    }

    fn received(&self) -> Vec<(String, serde_json::Value)> {
        self.received.lock().expect("no panic").clone()
    }
}

/// The key and the body, when the signature is right.
fn verified(headers: &HeaderMap, body: &[u8]) -> (String, serde_json::Value) {
    let header = |name: &str| headers[name].to_str().expect("text").to_owned();
    let (id, time) = (header("webhook-id"), header("webhook-timestamp"));
    let signature = header("webhook-signature");
    let signature = STANDARD.decode(signature.strip_prefix("v1,").expect("version 1")).expect("Base64");
    let signed = [id.as_bytes(), b".", time.as_bytes(), b".", body].concat();
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &SECRET), &signed, &signature).expect("our signature");
    time.parse::<u64>().expect("seconds");
    (id, serde_json::from_slice(body).expect("JSON"))
}

async fn world(receiver: &Receiver) -> TestCluster {
    let settings = [
        ("notification-webhook-url", format!("http://{}/hooks?shop=1", receiver.address)),
        ("notification-webhook-secret", format!("whsec_{}", STANDARD.encode(SECRET))),
        ("notification-channel", "webhook".to_owned()),
    ];
    let settings: BTreeMap<_, _> = settings.into_iter().map(|(flag, value)| (flag.to_owned(), value)).collect();
    TestCluster::with_settings(admin::platform(), vec![notification::context()], settings).await
}

fn client(world: &TestCluster) -> NotificationServiceClient<GrpcStack> {
    NotificationServiceClient::new(world.channel())
}

async fn send(world: &TestCluster, id: &str) -> Result<Notification, Status> {
    let notification = Notification {
        recipient: "customers/mina".to_owned(),
        text: "Welcome".to_owned(),
        about: "customers/a".to_owned(),
        occasion: "CUSTOMER_REGISTERED".to_owned(),
        ..Notification::default()
    };
    let request = SendNotificationRequest {
        notification: Some(notification),
        request_id: id.to_owned(),
        notification_id: id.to_owned(),
    };
    client(world).send_notification(request).await.map(tonic::Response::into_inner)
}

async fn state(world: &TestCluster, id: &str) -> (State, String) {
    let request = GetNotificationRequest { name: format!("notifications/{id}") };
    let notification = client(world).get_notification(request).await.expect("a notification").into_inner();
    (notification.state(), notification.state_reason)
}

#[tokio::test]
async fn a_receiver_gets_a_signed_post_with_an_idempotency_key_and_everything_but_personal_data() {
    let receiver = Receiver::open(&[Mood::Answer(204)]).await;
    let world = world(&receiver).await;
    let sent = send(&world, "n").await.expect("taken");
    assert_eq!((sent.state(), sent.channel()), (State::Delivered, Channel::Webhook));
    let body = serde_json::json!({
        "notification": "notifications/n", "recipient": "customers/mina", "about": "customers/a",
        "occasion": "CUSTOMER_REGISTERED", "text": "Welcome",
    });
    assert_eq!(receiver.received(), [("n".to_owned(), body)]);
    send(&world, "n").await.expect("the same answer");
    assert_eq!(receiver.received().len(), 1, "and no second post");
    world.finish().await;
}

#[tokio::test]
async fn what_a_busy_receiver_did_not_take_is_sent_again_under_the_same_key() {
    for mood in [Mood::Answer(503), Mood::Answer(429), Mood::Silence] {
        let receiver = Receiver::open(&[mood, mood, Mood::Answer(200)]).await;
        let world = world(&receiver).await;
        let error = send(&world, "n").await.expect_err("nobody knows");
        let code = if matches!(mood, Mood::Silence) { Code::DeadlineExceeded } else { Code::Unavailable };
        assert_eq!(error.code(), code, "{error:?}");
        assert_eq!(state(&world, "n").await.0, State::Pending, "{mood:?}");
        world.advance(LATER).await;
        world.advance(LATER).await;
        assert_eq!(state(&world, "n").await.0, State::Delivered, "{mood:?}");
        let keys: Vec<_> = receiver.received().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["n"; 3], "{mood:?}");
        world.finish().await;
    }
}

#[tokio::test]
async fn what_somebody_waited_for_is_given_up_after_a_few_attempts() {
    let receiver = Receiver::open(&[Mood::Answer(500)]).await;
    let world = world(&receiver).await;
    send(&world, "n").await.expect_err("broken");
    for _ in 0..8 {
        world.advance(LATER).await;
    }
    assert_eq!(state(&world, "n").await, (State::Failed, "GAVE_UP".to_owned()));
    assert_eq!(receiver.received().len(), 4);
    world.finish().await;
}

#[tokio::test]
async fn a_refusal_is_an_answer_and_a_redirect_is_not_followed() {
    for status in [400, 410, 302] {
        let receiver = Receiver::open(&[Mood::Answer(status)]).await;
        let world = world(&receiver).await;
        let sent = send(&world, "n").await.expect("an answer");
        assert_eq!((sent.state(), sent.state_reason), (State::Failed, format!("WEBHOOK_ANSWERED_{status}")));
        assert_eq!(receiver.received().len(), 1);
        world.finish().await;
    }
}

#[tokio::test]
async fn a_receiver_that_is_not_there_leaves_it_pending() {
    let receiver = Receiver { address: "127.0.0.1:1".parse().expect("an address"), ..Receiver::open(&[]).await };
    let world = world(&receiver).await;
    let error = send(&world, "n").await.expect_err("nobody listens");
    assert_eq!((error.code(), reason_of(&error).as_str()), (Code::Unavailable, "CHANNEL_FAILED"));
    assert_eq!(state(&world, "n").await.0, State::Pending);
    world.finish().await;
}

#[tokio::test]
async fn what_was_withdrawn_before_it_came_is_never_posted() {
    let receiver = Receiver::open(&[Mood::Answer(200)]).await;
    let world = world(&receiver).await;
    for _ in 0..2 {
        let request =
            WithdrawNotificationRequest { name: "notifications/n".to_owned(), request_id: "withdraw".to_owned() };
        let withdrawn = client(&world).withdraw_notification(request).await.expect("a tombstone").into_inner();
        assert_eq!(withdrawn.state(), State::Withdrawn);
    }
    let error = send(&world, "n").await.expect_err("too late");
    assert_eq!((error.code(), reason_of(&error).as_str()), (Code::FailedPrecondition, "NOTIFICATION_WITHDRAWN"));
    assert!(receiver.received().is_empty());
    world.finish().await;
}
