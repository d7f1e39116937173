//! Access: every method × every role × own and others' resources × every invalid token.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use contracts::role::{self, ROLES};
use contracts::{
    dashboard::v1::{WatchViewsRequest, dashboard_service_client::DashboardServiceClient, watch_views_response::View},
    order::v1::{CreateOrderRequest, order_service_client::OrderServiceClient},
};
use jumun_core::Role;
use prost_reflect::{DynamicMessage, FieldDescriptor, MethodDescriptor};
use regex::Regex;
use serde_json::{Value as Json, json};
use tonic::{Code, Request, metadata::MetadataValue};

use super::{
    super::smallest,
    clients::{Answer, Refusal, channel, id, new_id, wish},
    cluster::{ProcessCluster, RECOVERY},
    issuer::{AUDIENCE, Flaw, ISSUER, Issuer, KeyServer},
    protocol::{Caller, PROTOCOLS},
    temp_env::eventually,
};

/// Longer than the platform waits before it reads the keys again.
const ROTATION: Duration = Duration::from_secs(20);

/// What a method acts on, and so what happens for another owner's.
enum About {
    /// One resource, by its name: another owner's is NOT_FOUND.
    One(fn(&Things) -> Json),
    /// A new resource: for another owner it is refused.
    New(fn(&Things) -> Json),
    /// A list with the owners in this field: another owner's are left out.
    Many(&'static str, &'static str),
    /// It has no owner.
    Nothing(fn(&Things) -> Json),
}
use About::{Many, New, Nothing, One};

/// A method, the roles that may call it (all: every valid token), and what it acts on.
type Row = (&'static str, &'static str, About);

/// The methods that differ from `Expected::by_default`.
const TABLE: &[Row] = &[
    ("order.v1.OrderService/CreateOrder", "customer operator", New(Things::wish)),
    ("order.v1.OrderService/GetOrder", "customer operator service", One(|things| named("orders", things))),
    ("payment.v1.PaymentService/AuthorizePayment", "service", Nothing(Things::payment)),
    ("payment.v1.PaymentService/VoidPayment", "service", Nothing(|things| json!({"payable": things.order}))),
    ("payment.v1.PaymentService/GetPayment", "operator service", Nothing(|things| named("payments", things))),
    ("delivery.v1.DeliveryService/StartDelivery", "rider operator", One(Things::ride)),
    ("enrollment.v1.EnrollmentService/CreateEnrollment", "learner operator", New(Things::application)),
    (
        "enrollment.v1.EnrollmentService/GetEnrollment",
        "learner operator service",
        One(|things| named("enrollments", things)),
    ),
    (
        "education.v1.EducationService/CancelRegistration",
        "educator operator",
        One(|things| named("registrations", things)),
    ),
    ("customer.v1.CustomerService/CreateCustomer", "customer operator", New(Things::person)),
    ("notification.v1.NotificationService/SendNotification", "operator service", Nothing(Things::notice)),
    (
        "notification.v1.NotificationService/WithdrawNotification",
        "operator service",
        Nothing(|_| json!({"name": "notifications/never-sent"})),
    ),
    (
        "notification.v1.NotificationService/GetNotification",
        "customer operator service",
        One(|things| named("notifications", things)),
    ),
    ("dashboard.v1.DashboardService/GetOrderView", "customer operator", One(|things| named("orderViews", things))),
    ("dashboard.v1.DashboardService/ListOrderViews", "customer operator", Many("orderViews", "customer")),
    ("dashboard.v1.DashboardService/ListEnrollmentViews", "learner operator", Many("enrollmentViews", "learner")),
    ("dashboard.v1.DashboardService/ListCustomerViews", "customer operator", Many("customerViews", "account")),
    ("warehouse.v1.WarehouseService/CreateStockItem", "warehouse operator", Nothing(|_| stock_item())),
    ("warehouse.v1.WarehouseService/GetStockItem", "warehouse operator service", Nothing(|_| stock(0))),
    ("warehouse.v1.WarehouseService/ReduceStock", "warehouse operator service", Nothing(|_| stock(2))),
    ("warehouse.v1.WarehouseService/ReleaseStock", "warehouse operator service", Nothing(|_| stock(2))),
    (
        "kitchen.v1.KitchenService/CancelProduction",
        "kitchen operator service",
        One(|things| named("productions", things)),
    ),
    ("admin.v1.AdminService/SetFault", "operator", Nothing(|_| json!({"fault": {"target": "*", "code": "INTERNAL"}}))),
    ("bench.v1.BenchService/Echo", "all", Nothing(|_| json!({}))),
];

/// Builds a request about an owner's resources.
type Ask = Box<dyn Fn(&Things) -> Json>;

/// What is expected of a method.
struct Expected {
    roles: BTreeSet<String>,
    whose: Whose,
    request: Ask,
}

/// The ownership of what a method acts on.
enum Whose {
    /// Owned: another owner's is NOT_FOUND.
    Owned,
    /// Created for an owner: for another it is refused.
    New,
    /// A list: its field, and the field of the owner.
    Listed(String, String),
    /// It has no owner.
    Nobodys,
    /// Owned, but the test creates none: NOT_FOUND for every owner.
    Unmade,
}

impl Expected {
    fn of(method: &MethodDescriptor) -> Self {
        let path = jumun_core::contracts::path(method);
        match TABLE.iter().find(|(name, ..)| path == format!("/jumun.{name}")) {
            None => Self::by_default(method),
            Some((_, "all", about)) => {
                Self::from_table(ROLES.names.iter().map(|(role, _)| ROLES.claim(*role)).collect(), about)
            }
            Some((_, roles, about)) => Self::from_table(roles.split(' ').map(str::to_owned).collect(), about),
        }
    }

    fn from_table(roles: BTreeSet<String>, about: &About) -> Self {
        let (whose, request): (Whose, Ask) = match *about {
            One(request) => (Whose::Owned, Box::new(request)),
            New(request) => (Whose::New, Box::new(request)),
            Nothing(request) => (Whose::Nobodys, Box::new(request)),
            Many(field, owner) => (Whose::Listed(field.to_owned(), owner.to_owned()), Box::new(|_| json!({}))),
        };
        Self { roles, whose, request }
    }

    /// A context's methods are for operators, and for the roles that own something there, as tables.rs says. A method
    /// acts on the one resource that it names, creates a resource with an owner, or lists resources with their owners.
    fn by_default(method: &MethodDescriptor) -> Self {
        let owners = owners_of(method.parent_service().package_name());
        let mut roles: BTreeSet<_> = owners.iter().map(|(role, _)| ROLES.claim(*role)).collect();
        roles.insert(ROLES.claim(role::OPERATOR));
        let made = made(method, &owners);
        let whose = match smallest::collection(method) {
            Some(collection) if Things::default().name_in(&collection).is_none() => Whose::Unmade,
            Some(_) => Whose::Owned,
            None if made.is_some() => Whose::New,
            None => listed(method, &owners).map_or(Whose::Nobodys, |(field, owner)| Whose::Listed(field, owner)),
        };
        let method = method.clone();
        let request = move |things: &Things| {
            let named = |collection: &str| things.name_in(collection).unwrap_or(format!("{collection}/nobody"));
            let mut request = smallest::smallest(&method, named);
            if let Some((field, owner, role)) = &made {
                request[field][owner] = things.owner(*role).into();
            }
            request
        };
        Self { roles, whose, request: Box::new(request) }
    }
}

/// The roles that own rows of a package's context, and by which column, as its tables.rs declares.
fn owners_of(package: &str) -> Vec<(Role, String)> {
    let context = package.split('.').nth(1).expect("a package such as jumun.order.v1");
    let tables = format!("{}/../{context}/src/tables.rs", env!("CARGO_MANIFEST_DIR"));
    let tables = std::fs::read_to_string(tables).unwrap_or_default();
    let owner = Regex::new(r#"Owner::\w+\(role::(\w+)(?:, "(\w+)")?"#).expect("an expression");
    let read = |found: regex::Captures<'_>| {
        let column = found.get(2).map_or("", |column| column.as_str());
        (ROLES.parse(&found[1].to_lowercase()).expect("a role"), column.to_owned())
    };
    owner.captures_iter(&tables).map(read).collect()
}

/// The field of a request with the resource to create, and the resource's first field with an owner.
fn made(method: &MethodDescriptor, owners: &[(Role, String)]) -> Option<(String, String, Role)> {
    method.input().fields().find_map(|field| {
        let thing = field.kind().as_message()?.clone();
        let (role, owner) = owners.iter().find(|(_, column)| thing.get_field_by_name(column).is_some())?;
        Some((field.name().to_owned(), owner.clone(), *role))
    })
}

/// The field of an answer with a list, and the items' first field with an owner.
fn listed(method: &MethodDescriptor, owners: &[(Role, String)]) -> Option<(String, String)> {
    let field = method.output().fields().find(FieldDescriptor::is_list)?;
    let thing = field.kind().as_message()?.clone();
    let (_, owner) = owners.iter().find(|(_, column)| thing.get_field_by_name(column).is_some())?;
    Some((field.json_name().to_owned(), owner.clone()))
}

/// Resources that belong together, and their owners.
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
    /// An order for the counter, of a product that is not in stock.
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

    fn notice(&self) -> Json {
        json!({"requestId": new_id(), "notification": {"recipient": self.customer, "text": "A notice"}})
    }

    /// The name of their resource in a collection; None: there is none.
    fn name_in(&self, collection: &str) -> Option<String> {
        Some(match collection {
            "customers" => self.registered.clone(),
            "notifications" => self.welcome.clone(),
            "payments" => format!("payments/order-{}", id(&self.order)),
            "enrollments" | "registrations" => format!("{collection}/{}", id(&self.enrollment)),
            "productions" => format!("productions/{}", id(&self.coffee)),
            "stockItems" => "stockItems/americano".to_owned(),
            "orders" | "tickets" | "deliveries" | "orderViews" => format!("{collection}/{}", id(&self.order)),
            _ => return None,
        })
    }

    fn ride(&self) -> Json {
        json!({"name": format!("deliveries/{}", id(&self.order)), "rider": self.rider})
    }

    /// The owner with this role.
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
    json!({"name": things.name_in(collection).expect("a collection that the test has something of")})
}

fn stock_item() -> Json {
    json!({"stock_item": {"item": "items/americano", "quantity": "1000"}, "requestId": new_id()})
}

/// A request about the stock: get, restock, or reduce and release.
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

/// The platform, which accepts an issuer's tokens.
pub(crate) async fn guarded(issuer: &Issuer) -> ProcessCluster {
    let mut cluster = ProcessCluster::whole();
    let keys = cluster.temp_env.path("keys.json");
    std::fs::write(&keys, issuer.jwks()).expect("a file");
    guard(&mut cluster, &keys.display().to_string());
    cluster.start().await;
    cluster
}

fn guard(cluster: &mut ProcessCluster, keys: &str) {
    for (variable, value) in
        [("JUMUN_AUTH_JWKS", keys), ("JUMUN_AUTH_ISSUER", ISSUER), ("JUMUN_AUTH_AUDIENCE", AUDIENCE)]
    {
        cluster.set(variable, value);
    }
}

/// Creates everything as an operator: orders, accepts, starts the delivery, registers, enrolls.
async fn bring_about(things: &mut Things, operator: &Caller) {
    let ordered = operator.call(&method("order.v1.OrderService/CreateOrder"), &things.wish()).await.expect("an order");
    things.order = ordered["name"].as_str().expect("a name").to_owned();
    let ordered =
        operator.call(&method("order.v1.OrderService/CreateOrder"), &things.coffee()).await.expect("an order");
    things.coffee = ordered["name"].as_str().expect("a name").to_owned();
    for (name, request) in [
        ("kitchen.v1.KitchenService/GetProduction", named("productions", things)),
        ("store.v1.StoreService/AcceptTicket", named("tickets", things)),
        ("delivery.v1.DeliveryService/StartDelivery", things.ride()),
    ] {
        let method = method(name);
        eventually(name, RECOVERY, || async { or_text(operator.call(&method, &request).await) }).await;
    }
    let create = method("customer.v1.CustomerService/CreateCustomer");
    let registered = operator.call(&create, &things.person()).await.expect("a customer");
    let text = |field: &str| registered[field].as_str().expect(field).to_owned();
    (things.registered, things.welcome) = (text("name"), text("notification"));
    let enroll = method("enrollment.v1.EnrollmentService/CreateEnrollment");
    let enrolled = operator.call(&enroll, &things.application()).await.expect("an enrollment");
    things.enrollment = enrolled["name"].as_str().expect("a name").to_owned();
    let get = method("education.v1.EducationService/GetRegistration");
    eventually("the registration", RECOVERY, || async {
        or_text(operator.call(&get, &named("registrations", things)).await)
    })
    .await;
    let page = method("dashboard.v1.DashboardService/ListEnrollmentViews");
    eventually("the learner's page", RECOVERY, || async {
        let page = or_text(operator.call(&page, &json!({})).await)?;
        if owners(&page, "enrollmentViews", "learner").contains(things.learner) {
            Ok(())
        } else {
            Err(page.to_string())
        }
    })
    .await;
    let view = method("dashboard.v1.DashboardService/GetOrderView");
    eventually("the view", RECOVERY, || async {
        let view = or_text(operator.call(&view, &named("orderViews", things)).await)?;
        if view["customer"] == things.customer { Ok(()) } else { Err(view.to_string()) }
    })
    .await;
}

fn or_text(answer: Answer<Json>) -> Result<Json, String> {
    answer.map_err(|refusal| refusal.to_string())
}

/// The access error of an answer; None: the call passed authorization.
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
    let served: BTreeSet<_> = contracts::methods().map(|method| jumun_core::contracts::path(&method)).collect();
    for (name, ..) in TABLE {
        assert!(served.contains(&format!("/jumun.{name}")), "{name} is no method");
    }
    // For the other methods the default applies; its request must be valid.
    for method in contracts::methods() {
        let request = (Expected::of(&method).request)(&Things::new("customers/mina", "stores/gangnam", "riders/jun"));
        let request = DynamicMessage::deserialize(method.input(), &request);
        assert!(
            request.is_ok(),
            "{}: the table needs a row with its request: {request:?}",
            jumun_core::contracts::path(&method)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_the_table_allows_gets_through() {
    let issuer = Issuer::new("first");
    let cluster = guarded(&issuer).await;
    let mut mine =
        Things::new("customers/mina", "stores/gangnam", "riders/jun").learning("learners/hana", "courses/rust-101");
    let mut theirs =
        Things::new("customers/joon", "stores/mapo", "riders/bo").learning("learners/theo", "courses/tango");
    for protocol in PROTOCOLS {
        let caller = protocol.connect(&cluster.url("order"), Some(issuer.token("operators/root", "operator")));
        bring_about(&mut mine, &caller).await;
        bring_about(&mut theirs, &caller).await;
        for method in contracts::methods().filter(|method| protocol.can_call(method)) {
            let (name, expectation) = (jumun_core::contracts::path(&method), Expected::of(&method));
            for flaw in Flaw::ALL {
                let stranger = caller.with_token(issuer.flawed(flaw));
                let answer = stranger.call(&method, &(expectation.request)(&mine)).await;
                let expected = Some((Code::Unauthenticated, flaw.reason()));
                assert_eq!(denied(&answer), expected, "{protocol:?} {name} {flaw:?}: {answer:?}");
            }
            for (role, _) in ROLES.names {
                let token = issuer.token(mine.owner(*role), &ROLES.claim(*role));
                let caller = caller.with_token(Some(token));
                let is_allowed = expectation.roles.contains(&ROLES.claim(*role));
                let own = caller.call(&method, &(expectation.request)(&mine)).await;
                let expected = match expectation.whose {
                    _ if !is_allowed => ROLE_MISSING,
                    Whose::Unmade => NOT_FOUND,
                    _ => None,
                };
                let claim = ROLES.claim(*role);
                assert_eq!(
                    denied(&own),
                    expected,
                    "{protocol:?} {name} as {claim}, own: {own:?}; see \"Admit a new role\" in docs/how-to/add-an-endpoint.md"
                );
                let other = caller.call(&method, &(expectation.request)(&theirs)).await;
                let is_owner = matches!(
                    *role,
                    role::CUSTOMER | role::STORE | role::KITCHEN | role::RIDER | role::LEARNER | role::EDUCATOR
                );
                let expected = match expectation.whose {
                    _ if !is_allowed => ROLE_MISSING,
                    Whose::Unmade => NOT_FOUND,
                    Whose::Owned if is_owner => NOT_FOUND,
                    Whose::New if is_owner => NOT_YOURS,
                    Whose::Owned | Whose::New | Whose::Listed(..) | Whose::Nobodys => None,
                };
                assert_eq!(denied(&other), expected, "{protocol:?} {name} as {claim}, other's: {other:?}");
                if let (Whose::Listed(field, owner), Ok(page)) = (&expectation.whose, &own) {
                    let owners = owners(page, field, owner);
                    let role_shown = role_shown(owner);
                    let mut expected = vec![mine.owner(role_shown)];
                    expected.extend((!is_owner).then(|| theirs.owner(role_shown)));
                    assert_eq!(owners, expected.into_iter().collect(), "{protocol:?} {name} as {claim}: {page}");
                }
            }
        }
    }
}

/// The role that a field's name stands for.
fn role_shown(field: &str) -> Role {
    match field {
        "account" | "recipient" => role::CUSTOMER,
        role => ROLES.parse(role).expect("a role"),
    }
}

/// The owners of the items on a page.
fn owners<'a>(page: &'a Json, field: &str, owner: &str) -> BTreeSet<&'a str> {
    let things = page[field].as_array().map(Vec::as_slice).unwrap_or_default();
    things.iter().map(|thing| thing[owner].as_str().unwrap_or_default()).filter(|owner| !owner.is_empty()).collect()
}

#[tokio::test]
async fn a_rider_takes_an_unassigned_delivery_but_not_for_another_rider() {
    let issuer = Issuer::new("first");
    let cluster = guarded(&issuer).await;
    let operator = PROTOCOLS[0].connect(&cluster.url("order"), Some(issuer.token("operators/root", "operator")));
    let mut things = Things::new("customers/mina", "stores/gangnam", "riders/jun");
    let ordered = operator.call(&method("order.v1.OrderService/CreateOrder"), &things.wish()).await.expect("an order");
    things.order = ordered["name"].as_str().expect("a name").to_owned();
    let accept = method("store.v1.StoreService/AcceptTicket");
    eventually("the ticket", RECOVERY, || async { or_text(operator.call(&accept, &named("tickets", &things)).await) })
        .await;
    let (get, start) =
        (method("delivery.v1.DeliveryService/GetDelivery"), method("delivery.v1.DeliveryService/StartDelivery"));
    let bo = operator.with_token(Some(issuer.token("riders/bo", "rider")));
    eventually("a free delivery", RECOVERY, || async { or_text(bo.call(&get, &named("deliveries", &things)).await) })
        .await;
    assert_eq!(denied(&bo.call(&start, &things.ride()).await), NOT_YOURS, "bo may not name jun");
    let jun = operator.with_token(Some(issuer.token("riders/jun", "rider")));
    assert_eq!(jun.call(&start, &things.ride()).await.expect("jun starts the delivery")["rider"], "riders/jun");
    assert_eq!(denied(&bo.call(&get, &named("deliveries", &things)).await), NOT_FOUND, "jun has it");
}

#[tokio::test]
async fn one_request_id_of_two_callers_is_two_requests() {
    let issuer = Issuer::new("first");
    let cluster = guarded(&issuer).await;
    let create = method("order.v1.OrderService/CreateOrder");
    let mut names = BTreeSet::new();
    for customer in ["customers/mina", "customers/joon"] {
        let caller = PROTOCOLS[0].connect(&cluster.url("order"), Some(issuer.token(customer, "customer")));
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
    let cluster = guarded(&issuer).await;
    let shown = |token: String| MetadataValue::try_from(format!("Bearer {token}")).expect("ASCII");
    let mut request = Request::new(WatchViewsRequest {});
    request.metadata_mut().insert("authorization", shown(issuer.token("customers/mina", "customer")));
    let mut dashboard = DashboardServiceClient::new(channel(&cluster.url("dashboard")));
    let mut views = dashboard.watch_views(request).await.expect("a stream").into_inner();
    let mut orders = OrderServiceClient::new(channel(&cluster.url("order")));
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
    let mut cluster = ProcessCluster::whole();
    guard(&mut cluster, &keys.url);
    cluster.start().await;
    let list = method("order.v1.OrderService/ListOrders");
    let caller = PROTOCOLS[0].connect(&cluster.url("order"), None);
    let ask = async |issuer: &Issuer| -> Answer<Json> {
        caller.with_token(Some(issuer.token("operators/root", "operator"))).call(&list, &json!({})).await
    };
    ask(&first).await.expect("the first key counts");
    let refused: Refusal = ask(&second).await.expect_err("the second is not known yet");
    assert_eq!(refused.reason, "TOKEN_INVALID");

    second.jwks().clone_into(&mut document.lock().expect("no panic while it was locked"));
    eventually("the second key to count", ROTATION, || async { or_text(ask(&second).await) }).await;
    assert!(ask(&first).await.is_err(), "the first key is removed, with the tokens that it verified");

    drop(keys);
    let unknown = Issuer::new("third");
    for _ in 0..3 {
        assert!(ask(&unknown).await.is_err(), "the key is unknown");
        ask(&second).await.expect("the keys stay while their source is away");
    }
}
