//! Who may call what: every method × every role × own and others' × every way of not having a token.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use contracts::{
    dashboard::v1::{WatchViewsRequest, dashboard_service_client::DashboardServiceClient, watch_views_response::View},
    order::v1::{CreateOrderRequest, order_service_client::OrderServiceClient},
};
use contracts::role::{self, ROLES};
use jumun_core::Role;
use prost_reflect::MethodDescriptor;
use serde_json::{Value as Json, json};
use tonic::{Code, Request, metadata::MetadataValue};

use super::{
    clients::{Answer, Refusal, channel, id, new_id, wish},
    door::{Caller, DOORS},
    fleet::{Fleet, RECOVERY},
    issuer::{AUDIENCE, Flaw, ISSUER, Issuer, KeyServer},
    place::eventually,
};

/// Longer than the platform waits before it looks for a new key.
const ROTATION: Duration = Duration::from_secs(20);

/// What a method is about, and so what of it is another's.
enum About {
    /// One thing, by its name: another's is not there.
    One(fn(&Things) -> Json),
    /// A new thing: one for another is refused.
    New(fn(&Things) -> Json),
    /// Many things, each with its owner in this field: another's are left out.
    Many(&'static str, &'static str),
    /// Nobody's.
    Nothing(fn(&Things) -> Json),
}
use About::{Many, New, Nothing, One};

/// A method, who may call it (all: whoever has a token), and what it is about.
type Row = (&'static str, &'static str, About);

const TABLE: &[Row] = &[
    ("order.v1.OrderService/CreateOrder", "customer operator", New(Things::wish)),
    ("order.v1.OrderService/GetOrder", "customer operator service", One(|things| named("orders", things))),
    ("order.v1.OrderService/ListOrders", "customer operator", Many("orders", "customer")),
    ("order.v1.OrderService/WatchOrder", "customer operator", One(|things| named("orders", things))),
    ("order.v1.OrderService/CancelOrder", "customer operator", One(|things| named("orders", things))),
    ("payment.v1.PaymentService/AuthorizePayment", "service", Nothing(Things::payment)),
    ("payment.v1.PaymentService/VoidPayment", "service", Nothing(|things| json!({"payable": things.order}))),
    ("payment.v1.PaymentService/RefundPayment", "operator", Nothing(|things| json!({"name": things.paid_by()}))),
    ("payment.v1.PaymentService/GetPayment", "operator service", Nothing(|things| json!({"name": things.paid_by()}))),
    ("payment.v1.PaymentService/ListPayments", "operator", Nothing(|_| json!({}))),
    ("store.v1.StoreService/GetTicket", "store operator", One(|things| named("tickets", things))),
    ("store.v1.StoreService/ListTickets", "store operator", Many("tickets", "store")),
    ("store.v1.StoreService/AcceptTicket", "store operator", One(|things| named("tickets", things))),
    ("store.v1.StoreService/RejectTicket", "store operator", One(|things| named("tickets", things))),
    ("store.v1.StoreService/StartCooking", "store operator", One(|things| named("tickets", things))),
    ("store.v1.StoreService/FinishCooking", "store operator", One(|things| named("tickets", things))),
    ("delivery.v1.DeliveryService/GetDelivery", "rider operator", One(|things| named("deliveries", things))),
    ("delivery.v1.DeliveryService/ListDeliveries", "rider operator", Many("deliveries", "rider")),
    ("delivery.v1.DeliveryService/StartDelivery", "rider operator", One(Things::ride)),
    ("delivery.v1.DeliveryService/PickUpDelivery", "rider operator", One(|things| named("deliveries", things))),
    ("delivery.v1.DeliveryService/CompleteDelivery", "rider operator", One(|things| named("deliveries", things))),
    ("enrollment.v1.EnrollmentService/CreateEnrollment", "learner operator", New(Things::application)),
    ("enrollment.v1.EnrollmentService/GetEnrollment", "learner operator service", One(Things::place)),
    ("enrollment.v1.EnrollmentService/ListEnrollments", "learner operator", Many("enrollments", "learner")),
    ("enrollment.v1.EnrollmentService/CancelEnrollment", "learner operator", One(Things::place)),
    ("education.v1.EducationService/GetRegistration", "learner educator operator", One(Things::registration)),
    ("education.v1.EducationService/ListRegistrations", "learner educator operator", Many("registrations", "learner")),
    ("education.v1.EducationService/CompleteRegistration", "learner educator operator", One(Things::registration)),
    ("education.v1.EducationService/CancelRegistration", "educator operator", One(Things::registration)),
    ("customer.v1.CustomerService/CreateCustomer", "customer operator", New(Things::person)),
    ("customer.v1.CustomerService/GetCustomer", "customer operator", One(Things::customer)),
    ("customer.v1.CustomerService/ListCustomers", "customer operator", Many("customers", "account")),
    ("customer.v1.CustomerService/CancelCustomer", "customer operator", One(Things::customer)),
    ("notification.v1.NotificationService/SendNotification", "operator service", Nothing(Things::notice)),
    (
        "notification.v1.NotificationService/WithdrawNotification",
        "operator service",
        Nothing(|_| json!({"name": "notifications/never-sent"})),
    ),
    ("notification.v1.NotificationService/GetNotification", "customer operator service", One(Things::welcome)),
    ("notification.v1.NotificationService/ListNotifications", "customer operator", Many("notifications", "recipient")),
    ("notification.v1.NotificationService/ListInboxMessages", "customer operator", Many("inboxMessages", "recipient")),
    ("dashboard.v1.DashboardService/ListCustomerViews", "customer operator", Many("customerViews", "account")),
    ("warehouse.v1.WarehouseService/CreateStockItem", "warehouse operator", Nothing(|_| stock_item())),
    ("warehouse.v1.WarehouseService/GetStockItem", "warehouse operator service", Nothing(|_| stock(0))),
    ("warehouse.v1.WarehouseService/ListStockItems", "warehouse operator", Nothing(|_| json!({}))),
    ("warehouse.v1.WarehouseService/Restock", "warehouse operator", Nothing(|_| stock(1))),
    ("warehouse.v1.WarehouseService/ReduceStock", "warehouse operator service", Nothing(|_| stock(2))),
    ("warehouse.v1.WarehouseService/ReleaseStock", "warehouse operator service", Nothing(|_| stock(2))),
    ("kitchen.v1.KitchenService/GetProduction", "kitchen operator", One(Things::production)),
    ("kitchen.v1.KitchenService/ListProductions", "kitchen operator", Many("productions", "store")),
    ("kitchen.v1.KitchenService/CompleteProduction", "kitchen operator", One(Things::production)),
    ("kitchen.v1.KitchenService/CancelProduction", "kitchen operator service", One(Things::production)),
    ("kitchen.v1.KitchenService/FailProduction", "kitchen operator", One(Things::production)),
    ("dashboard.v1.DashboardService/GetOrderView", "customer operator", One(|things| named("orderViews", things))),
    ("dashboard.v1.DashboardService/ListOrderViews", "customer operator", Many("orderViews", "customer")),
    ("dashboard.v1.DashboardService/ListEnrollmentViews", "learner operator", Many("enrollmentViews", "learner")),
    ("dashboard.v1.DashboardService/WatchViews", "customer learner operator", Nothing(|_| json!({}))),
    ("admin.v1.AdminService/ListDeadLetters", "operator", Nothing(|_| json!({}))),
    ("admin.v1.AdminService/RedriveDeadLetters", "operator", Nothing(|_| json!({}))),
    ("admin.v1.AdminService/DiscardDeadLetters", "operator", Nothing(|_| json!({"names": ["deadLetters/order-1"]}))),
    ("admin.v1.AdminService/GetOutboxStatus", "operator", Nothing(|_| json!({}))),
    ("admin.v1.AdminService/GetOverloadStatus", "operator", Nothing(|_| json!({}))),
    ("admin.v1.AdminService/SetFault", "operator", Nothing(|_| json!({"fault": {"target": "*", "code": "INTERNAL"}}))),
    ("admin.v1.AdminService/ListFaults", "operator", Nothing(|_| json!({}))),
    ("admin.v1.AdminService/ClearFaults", "operator", Nothing(|_| json!({}))),
    ("bench.v1.BenchService/Echo", "all", Nothing(|_| json!({}))),
];

/// What belongs together, and to whom.
#[derive(Default)]
struct Things {
    customer: &'static str,
    store: &'static str,
    rider: &'static str,
    learner: &'static str,
    course: &'static str,
    order: String,
    enrollment: String,
    /// The customer's registration, and its welcome.
    registered: String,
    welcome: String,
    /// An order for the counter, of what nobody has.
    coffee: String,
}

impl Things {
    fn new(customer: &'static str, store: &'static str, rider: &'static str) -> Self {
        Self { customer, store, rider, ..Self::default() }
    }

    fn learning(self, learner: &'static str, course: &'static str) -> Self {
        Self { learner, course, ..self }
    }

    fn application(&self) -> Json {
        let fee = json!({"currencyCode": "KRW", "units": "90000"});
        let enrollment = json!({
            "learner": self.learner, "course": self.course, "courseTitle": "A course", "fee": fee,
            "paymentMethod": "tok_visa",
        });
        json!({"requestId": new_id(), "enrollment": enrollment})
    }

    fn place(&self) -> Json {
        json!({"name": self.enrollment})
    }

    fn registration(&self) -> Json {
        json!({"name": format!("registrations/{}", id(&self.enrollment))})
    }

    fn wish(&self) -> Json {
        let price = json!({"currencyCode": "KRW", "units": "9500"});
        let items = json!([{"item": "items/bibimbap", "quantity": 1, "unitPrice": price}]);
        let order =
            json!({"customer": self.customer, "store": self.store, "items": items, "paymentMethod": "tok_visa"});
        json!({"requestId": new_id(), "order": order})
    }

    fn coffee(&self) -> Json {
        let mut wish = self.wish();
        wish["order"]["fulfillment"] = json!("COUNTER");
        wish
    }

    fn production(&self) -> Json {
        json!({"name": format!("productions/{}", id(&self.coffee))})
    }

    fn payment(&self) -> Json {
        let amount = json!({"currencyCode": "KRW", "units": "9500"});
        json!({"payable": self.order, "amount": amount, "paymentMethod": "tok_visa", "requestId": new_id()})
    }

    fn person(&self) -> Json {
        let person = json!({
            "displayName": "Mina", "address": "Gangnam-daero 1", "age": 29, "phone": "010-1234-5678",
            "account": self.customer,
        });
        json!({"requestId": new_id(), "customer": person})
    }

    fn customer(&self) -> Json {
        json!({"name": self.registered})
    }

    fn notice(&self) -> Json {
        json!({"requestId": new_id(), "notification": {"recipient": self.customer, "text": "A notice"}})
    }

    fn welcome(&self) -> Json {
        json!({"name": self.welcome})
    }

    fn paid_by(&self) -> String {
        format!("payments/order-{}", id(&self.order))
    }

    fn ride(&self) -> Json {
        json!({"name": format!("deliveries/{}", id(&self.order)), "rider": self.rider})
    }

    /// Who of them has this role.
    fn owner(&self, role: Role) -> &'static str {
        match role {
            role::CUSTOMER => self.customer,
            role::STORE | role::KITCHEN => self.store,
            role::RIDER => self.rider,
            role::LEARNER => self.learner,
            role::EDUCATOR => self.course,
            _ => "others/somebody",
        }
    }
}

fn named(collection: &str, things: &Things) -> Json {
    json!({"name": format!("{collection}/{}", id(&things.order))})
}

fn stock_item() -> Json {
    json!({"stock_item": {"item": "items/americano", "quantity": "1000"}, "requestId": new_id()})
}

/// A request about the stock: to look, to add, or to take and give back.
fn stock(fields: usize) -> Json {
    let mut request = json!({"name": "stockItems/americano"});
    if fields > 0 {
        request["quantity"] = json!("1");
        request["requestId"] = json!(new_id());
    }
    if fields > 1 {
        request["production"] = json!("productions/somebody");
    }
    request
}

pub(crate) fn method(name: &str) -> MethodDescriptor {
    let path = format!("/jumun.{name}");
    let found = contracts::methods().find(|method| jumun_core::contracts::path(method) == path);
    found.unwrap_or_else(|| panic!("{path} is no method"))
}

/// The platform, which takes an issuer's tokens.
pub(crate) async fn guarded(issuer: &Issuer) -> Fleet {
    let mut fleet = Fleet::whole();
    let keys = fleet.place.path("keys.json");
    std::fs::write(&keys, issuer.jwks()).expect("a file");
    guard(&mut fleet, &keys.display().to_string());
    fleet.start().await;
    fleet
}

fn guard(fleet: &mut Fleet, keys: &str) {
    for (variable, value) in
        [("JUMUN_AUTH_JWKS", keys), ("JUMUN_AUTH_ISSUER", ISSUER), ("JUMUN_AUTH_AUDIENCE", AUDIENCE)]
    {
        fleet.set(variable, value);
    }
}

/// Orders, takes it on and sets out, and enrolls, as an operator.
async fn bring_about(things: &mut Things, operator: &Caller) {
    let ordered = operator.call(&method("order.v1.OrderService/CreateOrder"), &things.wish()).await.expect("an order");
    things.order = ordered["name"].as_str().expect("a name").to_owned();
    let ordered =
        operator.call(&method("order.v1.OrderService/CreateOrder"), &things.coffee()).await.expect("an order");
    things.coffee = ordered["name"].as_str().expect("a name").to_owned();
    for (name, request) in [
        ("kitchen.v1.KitchenService/GetProduction", things.production()),
        ("store.v1.StoreService/AcceptTicket", named("tickets", things)),
        ("delivery.v1.DeliveryService/StartDelivery", things.ride()),
    ] {
        let method = method(name);
        eventually(name, RECOVERY, || async { told(operator.call(&method, &request).await) }).await;
    }
    let create = method("customer.v1.CustomerService/CreateCustomer");
    let registered = operator.call(&create, &things.person()).await.expect("a customer");
    let text = |field: &str| registered[field].as_str().expect(field).to_owned();
    (things.registered, things.welcome) = (text("name"), text("notification"));
    let enroll = method("enrollment.v1.EnrollmentService/CreateEnrollment");
    let enrolled = operator.call(&enroll, &things.application()).await.expect("an enrollment");
    things.enrollment = enrolled["name"].as_str().expect("a name").to_owned();
    let get = method("education.v1.EducationService/GetRegistration");
    eventually("the registration", RECOVERY, || async { told(operator.call(&get, &things.registration()).await) })
        .await;
    let page = method("dashboard.v1.DashboardService/ListEnrollmentViews");
    eventually("the learner's page", RECOVERY, || async {
        let page = told(operator.call(&page, &json!({})).await)?;
        if owners(&page, "enrollmentViews", "learner").contains(things.learner) {
            Ok(())
        } else {
            Err(page.to_string())
        }
    })
    .await;
    let view = method("dashboard.v1.DashboardService/GetOrderView");
    eventually("the view", RECOVERY, || async {
        let view = told(operator.call(&view, &named("orderViews", things)).await)?;
        if view["customer"] == things.customer { Ok(()) } else { Err(view.to_string()) }
    })
    .await;
}

fn told(answer: Answer<Json>) -> Result<Json, String> {
    answer.map_err(|refusal| refusal.to_string())
}

/// What a refusal says about access; None: the caller got as far as the rules.
fn denied(answer: &Answer<Json>) -> Option<(Code, &str)> {
    let refusal = answer.as_ref().err()?;
    let is_access = matches!(refusal.code, Code::Unauthenticated | Code::PermissionDenied | Code::NotFound);
    is_access.then_some((refusal.code, refusal.reason.as_str()))
}

const ROLE_MISSING: Option<(Code, &str)> = Some((Code::PermissionDenied, "ROLE_MISSING"));
const NOT_YOURS: Option<(Code, &str)> = Some((Code::PermissionDenied, "NOT_YOURS"));
const NOT_FOUND: Option<(Code, &str)> = Some((Code::NotFound, "NOT_FOUND"));

#[test]
fn the_table_has_every_method() {
    let known: BTreeSet<_> = TABLE.iter().map(|(name, ..)| format!("/jumun.{name}")).collect();
    let served: BTreeSet<_> = contracts::methods().map(|method| jumun_core::contracts::path(&method)).collect();
    assert_eq!(known, served);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_the_table_allows_gets_through() {
    let issuer = Issuer::new("first");
    let fleet = guarded(&issuer).await;
    let mut mine =
        Things::new("customers/mina", "stores/gangnam", "riders/jun").learning("learners/hana", "courses/rust-101");
    let mut theirs =
        Things::new("customers/joon", "stores/mapo", "riders/bo").learning("learners/theo", "courses/tango");
    for door in DOORS {
        let caller = door.open(&fleet.url("order"), Some(issuer.token("operators/root", "operator")));
        bring_about(&mut mine, &caller).await;
        bring_about(&mut theirs, &caller).await;
        for (name, allowed, about) in TABLE {
            let method = method(name);
            if !door.leads_to(&method) {
                continue;
            }
            for flaw in Flaw::ALL {
                let stranger = caller.with_token(issuer.flawed(flaw));
                let answer = stranger.call(&method, &about.request(&mine)).await;
                let expected = Some((Code::Unauthenticated, flaw.reason()));
                assert_eq!(denied(&answer), expected, "{door:?} {name} {flaw:?}: {answer:?}");
            }
            for (role, _) in ROLES.names {
                let token = issuer.token(mine.owner(*role), &ROLES.claim(*role));
                let caller = caller.with_token(Some(token));
                let is_allowed = *allowed == "all" || allowed.split(' ').any(|claim| claim == ROLES.claim(*role));
                let own = caller.call(&method, &about.request(&mine)).await;
                let expected = if is_allowed { None } else { ROLE_MISSING };
                assert_eq!(denied(&own), expected, "{door:?} {name} {role:?}, own: {own:?}");
                let other = caller.call(&method, &about.request(&theirs)).await;
                let is_owner = matches!(
                    *role,
                    role::CUSTOMER | role::STORE | role::KITCHEN | role::RIDER | role::LEARNER | role::EDUCATOR
                );
                let expected = match about {
                    _ if !is_allowed => ROLE_MISSING,
                    One(_) if is_owner => NOT_FOUND,
                    New(_) if is_owner => NOT_YOURS,
                    One(_) | New(_) | Many(..) | Nothing(_) => None,
                };
                assert_eq!(denied(&other), expected, "{door:?} {name} {role:?}, other's: {other:?}");
                if let (Many(field, owner), Ok(page)) = (about, &own) {
                    let owners = owners(page, field, owner);
                    let role_shown = role_shown(owner);
                    let mut expected = vec![mine.owner(role_shown)];
                    expected.extend((!is_owner).then(|| theirs.owner(role_shown)));
                    assert_eq!(owners, expected.into_iter().collect(), "{door:?} {name} {role:?}: {page}");
                }
            }
        }
    }
}

/// Whose name the field has.
fn role_shown(field: &str) -> Role {
    match field {
        "account" | "recipient" => role::CUSTOMER,
        role => ROLES.parse(role).expect("a role"),
    }
}

impl About {
    fn request(&self, things: &Things) -> Json {
        match self {
            One(request) | New(request) | Nothing(request) => request(things),
            Many(..) => json!({}),
        }
    }
}

/// Whose the things on a page are.
fn owners<'a>(page: &'a Json, field: &str, owner: &str) -> BTreeSet<&'a str> {
    let things = page[field].as_array().map(Vec::as_slice).unwrap_or_default();
    things.iter().map(|thing| thing[owner].as_str().unwrap_or_default()).filter(|owner| !owner.is_empty()).collect()
}

#[tokio::test]
async fn a_rider_takes_what_nobody_has_but_not_for_another() {
    let issuer = Issuer::new("first");
    let fleet = guarded(&issuer).await;
    let operator = DOORS[0].open(&fleet.url("order"), Some(issuer.token("operators/root", "operator")));
    let mut things = Things::new("customers/mina", "stores/gangnam", "riders/jun");
    let ordered = operator.call(&method("order.v1.OrderService/CreateOrder"), &things.wish()).await.expect("an order");
    things.order = ordered["name"].as_str().expect("a name").to_owned();
    let accept = method("store.v1.StoreService/AcceptTicket");
    eventually("the ticket", RECOVERY, || async { told(operator.call(&accept, &named("tickets", &things)).await) })
        .await;
    let (get, start) =
        (method("delivery.v1.DeliveryService/GetDelivery"), method("delivery.v1.DeliveryService/StartDelivery"));
    let bo = operator.with_token(Some(issuer.token("riders/bo", "rider")));
    eventually("a free delivery", RECOVERY, || async { told(bo.call(&get, &named("deliveries", &things)).await) })
        .await;
    assert_eq!(denied(&bo.call(&start, &things.ride()).await), NOT_YOURS, "bo sends jun");
    let jun = operator.with_token(Some(issuer.token("riders/jun", "rider")));
    assert_eq!(jun.call(&start, &things.ride()).await.expect("jun sets out")["rider"], "riders/jun");
    assert_eq!(denied(&bo.call(&get, &named("deliveries", &things)).await), NOT_FOUND, "jun has it");
}

#[tokio::test]
async fn one_request_id_of_two_callers_is_two_requests() {
    let issuer = Issuer::new("first");
    let fleet = guarded(&issuer).await;
    let create = method("order.v1.OrderService/CreateOrder");
    let mut names = BTreeSet::new();
    for customer in ["customers/mina", "customers/joon"] {
        let caller = DOORS[0].open(&fleet.url("order"), Some(issuer.token(customer, "customer")));
        let mut request = Things::new(customer, "stores/gangnam", "").wish();
        request["requestId"] = json!("the-same");
        for _ in 0..2 {
            let order = caller.call(&create, &request).await.expect("an order");
            assert_eq!(order["customer"], customer);
            names.insert(order["name"].as_str().expect("a name").to_owned());
        }
    }
    assert_eq!(names.len(), 2, "{names:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_who_watches_the_views_sees_only_its_own() {
    let issuer = Issuer::new("first");
    let fleet = guarded(&issuer).await;
    let shown = |token: String| MetadataValue::try_from(format!("Bearer {token}")).expect("ASCII");
    let mut request = Request::new(WatchViewsRequest {});
    request.metadata_mut().insert("authorization", shown(issuer.token("customers/mina", "customer")));
    let mut dashboard = DashboardServiceClient::new(channel(&fleet.url("dashboard")));
    let mut views = dashboard.watch_views(request).await.expect("a stream").into_inner();
    let mut orders = OrderServiceClient::new(channel(&fleet.url("order")));
    let mut last = String::new();
    for customer in ["customers/joon", "customers/mina", "customers/joon", "customers/mina"] {
        let order = contracts::order::v1::Order { customer: customer.to_owned(), ..wish("tok_visa") };
        let mut request = Request::new(CreateOrderRequest { order: Some(order), request_id: new_id() });
        request.metadata_mut().insert("authorization", shown(issuer.token(customer, "customer")));
        last = orders.create_order(request).await.expect("an order").into_inner().name;
    }
    loop {
        let view = tokio::time::timeout(RECOVERY, views.message()).await.expect("in time").expect("a view");
        let Some(View::OrderView(view)) = view.and_then(|answer| answer.view) else { panic!("the stream ended") };
        assert_eq!(view.customer, "customers/mina");
        if view.order == last {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_change_without_stopping_and_stay_while_their_source_is_away() {
    let (first, second) = (Issuer::new("first"), Issuer::new("second"));
    let document = Arc::new(Mutex::new(first.jwks()));
    let keys = KeyServer::start(document.clone()).await;
    let mut fleet = Fleet::whole();
    guard(&mut fleet, &keys.url);
    fleet.start().await;
    let list = method("order.v1.OrderService/ListOrders");
    let caller = DOORS[0].open(&fleet.url("order"), None);
    let ask = async |issuer: &Issuer| -> Answer<Json> {
        caller.with_token(Some(issuer.token("operators/root", "operator"))).call(&list, &json!({})).await
    };
    ask(&first).await.expect("the first key counts");
    let refused: Refusal = ask(&second).await.expect_err("the second is not known yet");
    assert_eq!(refused.reason, "TOKEN_INVALID");

    second.jwks().clone_into(&mut document.lock().expect("nobody panics with it"));
    eventually("the second key to count", ROTATION, || async { told(ask(&second).await) }).await;
    assert!(ask(&first).await.is_err(), "the first key is gone, with what it had verified");

    drop(keys);
    let unknown = Issuer::new("third");
    for _ in 0..3 {
        assert!(ask(&unknown).await.is_err(), "nobody knows it");
        ask(&second).await.expect("the keys stay while their source is away");
    }
}
