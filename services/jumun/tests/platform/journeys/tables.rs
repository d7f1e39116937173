//! Every aggregate in its table: each column of the migrations is declared, holds the field of its name, in the form in
//! which it was always stored, and reads back.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

use engine::storage::{columns_of, tables};
use engine::{
    Stored, storage::Connection, storage::Kind, storage::Record, storage::Row, storage::Value, storage::select,
};
use jumun_core::{Envelope, Money, Time};
use testkit::TestCluster;

use super::super::contexts;

/// The engine's columns of each aggregate, and the engine's own table that has the same columns.
const KEPT: [(&str, Kind); 3] = [("id", Kind::Text), ("version", Kind::Int), ("last_event", Kind::Int)];
const INBOX: &str = "inbox";

#[tokio::test]
async fn every_column_of_every_table_holds_the_field_of_its_name_and_reads_back() {
    let cluster = TestCluster::new(admin::platform(), contexts::all()).await;
    let mut held = BTreeSet::new();
    for (context, schema, check) in aggregates() {
        let mut connection = cluster.database(context, schema).connect().expect("a database");
        held.insert((schema, check(&mut connection).to_owned()));
    }
    for context in contexts::all() {
        for (schema, _) in &context.databases {
            let mut connection = cluster.database(context.name, schema).connect().expect("a database");
            for table in tables(&mut connection).expect("tables") {
                let columns = columns_of(&mut connection, &table).expect("columns");
                let is_of_aggregates = KEPT.iter().all(|(kept, _)| columns.contains_key(*kept)) && table != INBOX;
                assert_eq!(held.contains(&(*schema, table.clone())), is_of_aggregates, "{schema}: {table}");
            }
            let declared = Envelope::TABLE.columns.iter().map(|column| column.name);
            // The sequence is assigned by the database.
            let declared: BTreeSet<_> = declared.chain(["seq"]).map(str::to_owned).collect();
            let events = columns_of(&mut connection, Envelope::TABLE.name).expect("columns");
            assert_eq!(events.into_keys().collect::<BTreeSet<_>>(), declared, "{schema}");
        }
    }
    cluster.finish().await;
}

/// Checks one aggregate in a database, and returns the name of its table.
type Check = Box<dyn Fn(&mut Connection) -> &'static str>;

/// An aggregate of each type, with a different value in each field, and the columns that its row then has, by name.
fn aggregates() -> Vec<(&'static str, &'static str, Check)> {
    vec![
        (
            "order",
            "order",
            check(
                order::Order {
                    id: id(),
                    customer: text("customer"),
                    store: text("store"),
                    items: vec![order::Item { item: text("item"), quantity: 1, unit_price: 2 }],
                    total: money(3),
                    fulfillment: text("fulfillment"),
                    payment_method: text("payment_method"),
                    state: order::State::OutOfStock,
                    state_reason: text("state_reason"),
                    payment: text("payment"),
                    create_time: Time(4),
                    placed_time: Some(Time(5)),
                    update_time: Time(6),
                },
                "create_time=4 currency=EUR customer=customer fulfillment=fulfillment \
                 items=[{\"item\":\"item\",\"quantity\":1,\"unit_price\":2}] payment=payment \
                 payment_method=payment_method placed_time=5 state=OUT_OF_STOCK state_reason=state_reason store=store \
                 total=3 update_time=6",
            ),
        ),
        (
            "payment",
            "payment",
            check(
                payment::Payment {
                    id: id(),
                    payable: text("payable"),
                    amount: Some(money(1)),
                    payment_method: text("payment_method"),
                    fingerprint: text("fingerprint"),
                    state: payment::State::Captured,
                    decline_reason: text("decline_reason"),
                    create_time: Time(2),
                    update_time: Time(3),
                },
                "amount=1 create_time=2 currency=EUR decline_reason=decline_reason fingerprint=fingerprint \
                 payable=payable payment_method=payment_method state=CAPTURED update_time=3",
            ),
        ),
        (
            "payment",
            payment::PROVIDER_SCHEMA,
            check(
                payment::Charge {
                    id: id(),
                    amount: Some(money(1)),
                    state: payment::ChargeState::Refunded,
                    decline_reason: text("decline_reason"),
                    create_time: Time(2),
                    update_time: Time(3),
                },
                "amount=1 create_time=2 currency=EUR decline_reason=decline_reason state=GIVEN_BACK update_time=3",
            ),
        ),
        (
            "store",
            "store",
            check(
                store::Ticket {
                    id: id(),
                    store: text("store"),
                    items: vec![store::Item { item: text("item"), quantity: 1 }],
                    state: store::State::Cooking,
                    create_time: Time(2),
                    update_time: Time(3),
                },
                "create_time=2 items=[{\"item\":\"item\",\"quantity\":1}] state=COOKING store=store update_time=3",
            ),
        ),
        (
            "delivery",
            "delivery",
            check(
                delivery::Delivery {
                    id: id(),
                    store: text("store"),
                    rider: text("rider"),
                    state: delivery::State::PickedUp,
                    ready: true,
                    create_time: Time(2),
                    update_time: Time(3),
                },
                "create_time=2 ready=1 rider=rider state=PICKED_UP store=store update_time=3",
            ),
        ),
        (
            "enrollment",
            "enrollment",
            check(
                enrollment::Enrollment {
                    id: id(),
                    learner: text("learner"),
                    course: text("course"),
                    course_title: text("course_title"),
                    fee: money(1),
                    payment_method: text("payment_method"),
                    state: enrollment::State::Voiding,
                    state_reason: text("state_reason"),
                    payment: text("payment"),
                    create_time: Time(2),
                    enrolled_time: Some(Time(3)),
                    update_time: Time(4),
                },
                "course=course course_title=course_title create_time=2 currency=EUR enrolled_time=3 fee=1 \
                 learner=learner payment=payment payment_method=payment_method state=VOIDING \
                 state_reason=state_reason update_time=4",
            ),
        ),
        (
            "education",
            "education",
            check(
                education::Registration {
                    id: id(),
                    learner: text("learner"),
                    course: text("course"),
                    state: education::State::Completed,
                    create_time: Time(1),
                    update_time: Time(2),
                },
                "course=course create_time=1 learner=learner state=COMPLETED update_time=2",
            ),
        ),
        (
            "kitchen",
            "kitchen",
            check(
                kitchen::Production {
                    id: id(),
                    store: text("store"),
                    lines: vec![kitchen::Line { item: text("item"), quantity: 1 }],
                    state: kitchen::State::Taking,
                    missing: text("missing"),
                    release_pending: true,
                    create_time: Time(2),
                    update_time: Time(3),
                },
                "create_time=2 lines=[{\"item\":\"item\",\"quantity\":1}] missing=missing owes=1 state=TAKING \
                 store=store update_time=3",
            ),
        ),
        (
            "warehouse",
            "warehouse",
            check(
                warehouse::StockItem { id: id(), quantity: 1, create_time: Time(2), update_time: Time(3) },
                "create_time=2 item=items/id quantity=1 update_time=3",
            ),
        ),
        (
            "customer",
            "customer",
            check(
                customer::Customer {
                    id: id(),
                    account: text("account"),
                    display_name: text("display_name"),
                    address: text("address"),
                    age: 2,
                    phone: text("phone"),
                    notifies_order_changes: true,
                    state: customer::State::Registered,
                    state_reason: text("state_reason"),
                    create_time: Time(3),
                    registered_time: Some(Time(4)),
                    update_time: Time(5),
                },
                "account=account address=address age=2 create_time=3 display_name=display_name \
                 notifies_order_changes=1 phone=phone registered_time=4 state=REGISTERED state_reason=state_reason \
                 update_time=5",
            ),
        ),
        (
            "notification",
            "notification",
            check(
                notification::Notification {
                    id: id(),
                    recipient: text("recipient"),
                    channel: notification::Channel::Webhook,
                    text: text("text"),
                    about: text("about"),
                    occasion: text("occasion"),
                    is_awaited: true,
                    fingerprint: text("fingerprint"),
                    state: notification::State::Withdrawn,
                    state_reason: text("state_reason"),
                    attempts: 2,
                    next_attempt_time: Time(3),
                    create_time: Time(4),
                    update_time: Time(5),
                },
                "about=about attempts=2 channel=WEBHOOK create_time=4 fingerprint=fingerprint is_awaited=1 \
                 next_attempt_time=3 occasion=occasion recipient=recipient state=WITHDRAWN state_reason=state_reason \
                 text=text update_time=5",
            ),
        ),
        (
            "notification",
            notification::SUBSCRIBER_SCHEMA,
            check(
                notification::Subscriber { id: id(), account: text("account"), is_listening: true, event_number: 2 },
                "account=account heard=2 is_listening=1",
            ),
        ),
        (
            "notification",
            notification::KAKAO_SCHEMA,
            check(
                notification::Message {
                    id: id(),
                    recipient: text("recipient"),
                    text: text("text"),
                    state: notification::MessageState::Delivered,
                    create_time: Time(1),
                },
                "create_time=1 recipient=recipient state=DELIVERED text=text",
            ),
        ),
        (
            "dashboard",
            "dashboard",
            check(
                dashboard::OrderView {
                    id: id(),
                    customer: text("customer"),
                    store: text("store"),
                    items: vec![dashboard::Item { item: text("item"), quantity: 1, unit_price: 2 }],
                    total: Some(money(3)),
                    state: Some(dashboard::State::PickedUp),
                    payment_state: text("payment_state"),
                    rider: text("rider"),
                    history: vec![entry(Some(dashboard::State::OutOfStock))],
                    create_time: Time(4),
                    update_time: Time(5),
                },
                "create_time=4 currency=EUR customer=customer \
                 history=[{\"time\":8,\"source\":\"kitchen\",\"number\":9,\"kind\":\"KIND\",\"state\":\"OUT_OF_STOCK\"}] \
                 items=[{\"item\":\"item\",\"quantity\":1,\"unit_price\":2}] payment_state=payment_state rider=rider \
                 state=PICKED_UP store=store total=3 update_time=5",
            ),
        ),
        (
            "dashboard",
            dashboard::ENROLLMENT_SCHEMA,
            check(
                dashboard::EnrollmentView {
                    id: id(),
                    learner: text("learner"),
                    course: text("course"),
                    course_title: text("course_title"),
                    fee: Some(money(1)),
                    state: Some(dashboard::EnrollmentState::Enrolled),
                    payment_state: text("payment_state"),
                    registration_state: text("registration_state"),
                    history: vec![entry(None)],
                    create_time: Time(2),
                    update_time: Time(3),
                },
                "course=course course_title=course_title create_time=2 currency=EUR fee=1 \
                 history=[{\"time\":8,\"source\":\"kitchen\",\"number\":9,\"kind\":\"KIND\"}] learner=learner \
                 payment_state=payment_state registration_state=registration_state state=ENROLLED update_time=3",
            ),
        ),
        (
            "dashboard",
            dashboard::CUSTOMER_SCHEMA,
            check(
                dashboard::CustomerView {
                    id: id(),
                    account: text("account"),
                    state: Some(dashboard::CustomerState::Registered),
                    history: vec![entry(None)],
                    create_time: Time(1),
                    update_time: Time(2),
                },
                "account=account create_time=1 \
                 history=[{\"time\":8,\"source\":\"kitchen\",\"number\":9,\"kind\":\"KIND\"}] state=REGISTERED \
                 update_time=2",
            ),
        ),
    ]
}

fn check<A: Stored + Debug + PartialEq>(aggregate: A, stored: &'static str) -> Check {
    Box::new(move |connection| {
        let table = A::TABLE.name;
        let declared = A::TABLE.columns.iter().map(|column| (column.name, column.kind)).chain(KEPT);
        let declared: Vec<_> = declared.map(|(name, kind)| (name.to_owned(), kind)).collect();
        let columns = columns_of(connection, table).expect("columns");
        assert_eq!(declared.len(), columns.len(), "{table} declares each column once");
        assert_eq!(declared.iter().cloned().collect::<BTreeMap<_, _>>(), columns, "{table}");

        insert(connection, &aggregate);
        let own = columns.iter().filter(|(name, _)| KEPT.iter().all(|(kept, _)| kept != name));
        let in_table: Vec<_> =
            own.map(|(name, kind)| format!("{name}={}", column(connection, table, name, *kind))).collect();
        assert_eq!(in_table.join(" "), stored, "{table}");

        let mut row = connection.query(&select::<A>(&["id"]), &[]).expect("a row").remove(0);
        let id = row.text().expect("an id");
        assert_eq!(A::from_row(id, &mut row).expect("a readable row"), aggregate);
        connection.batch(&format!("DELETE FROM {table}")).expect("emptied");
        table
    })
}

fn insert<A: Stored>(connection: &mut Connection, aggregate: &A) {
    let names = A::TABLE.columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ");
    let marks = ", ?".repeat(A::TABLE.columns.len());
    let sql = format!("INSERT INTO {} (id, version, last_event, {names}) VALUES (?, 1, 0{marks})", A::TABLE.name);
    let binds: Vec<Value<'_>> = std::iter::once(aggregate.id().into()).chain(aggregate.to_row()).collect();
    assert_eq!(connection.execute(&sql, &binds).expect("a row"), 1);
}

/// A column of the only row, as the database prints it.
fn column(connection: &mut Connection, table: &str, name: &str, kind: Kind) -> String {
    let mut rows = connection.query(&format!("SELECT {name} FROM {table}"), &[]).expect("a row");
    let read = |row: &mut Row| if kind == Kind::Int { row.int().map(|number| number.to_string()) } else { row.text() };
    read(&mut rows[0]).expect("not null")
}

fn id() -> String {
    text("id")
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn money(minor: i64) -> Money {
    Money::new("EUR", minor).expect("a currency")
}

fn entry<S>(state: Option<S>) -> dashboard::Entry<S> {
    let source = dashboard::Source::Kitchen;
    dashboard::Entry { time: Time(8), source, number: 9, kind: text("KIND"), state, rider: None }
}
