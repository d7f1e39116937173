//! The books: what every context wrote, as it stands in the databases.

use std::collections::{BTreeMap, HashMap};

use kit::{
    Clock, Message, Money, Places, Stored, Time,
    outbox::{SELECT_EVENTS, read_event},
    storage::{Database, Row, StorageError},
};

use super::{
    indexes,
    people::People,
    requests::{self, Creation},
};

/// Everything that was read.
pub(super) struct Books {
    /// What changed after this may still be on its way.
    pub(super) settled_before: Time,
    /// What is paid for, by its name.
    pub(super) payables: HashMap<String, Payable>,
    pub(super) payments: HashMap<String, Payment>,
    pub(super) charges: HashMap<String, Charge>,
    pub(super) productions: HashMap<String, kitchen::Production>,
    pub(super) stock: HashMap<String, warehouse::StockItem>,
    pub(super) order_views: HashMap<String, dashboard::OrderView>,
    pub(super) enrollment_views: HashMap<String, dashboard::EnrollmentView>,
    pub(super) customer_views: HashMap<String, dashboard::CustomerView>,
    pub(super) people: People,
    pub(super) creations: Vec<Creation>,
    /// Orders and the entries of their index by customer, where they were read.
    pub(super) orders_by_customer: Option<Vec<indexes::Entry>>,
    /// Each context's log.
    pub(super) logs: BTreeMap<String, Log>,
    /// Which contexts were read.
    pub(super) contexts: Vec<String>,
}

/// A kind of thing that is paid for, as its context stores it.
pub(super) struct Kind {
    pub(super) context: &'static str,
    /// Its table, and the collection of its names.
    pub(super) table: &'static str,
    /// The column of what it costs.
    amount: &'static str,
    /// The states in which it stands.
    pub(super) standing: &'static [&'static str],
    /// What says that it stands, that it never stood, that it was withdrawn, and that it was completed.
    pub(super) announcements: [&'static str; 4],
}

/// Everything that is paid for.
pub(super) const KINDS: [Kind; 2] = [
    Kind {
        context: "order",
        table: "orders",
        amount: "total",
        standing: &["PLACED", "OUT_OF_STOCK", "ACCEPTED", "COOKING", "PRODUCING", "READY", "PICKED_UP", "COMPLETED"],
        announcements: ["OrderPlaced", "OrderRejected", "OrderCancelled", "OrderCompleted"],
    },
    Kind {
        context: "enrollment",
        table: "enrollments",
        amount: "fee",
        standing: &["ENROLLED", "COMPLETED"],
        announcements: ["LearnerEnrolled", "EnrollmentRejected", "EnrollmentCancelled", "EnrollmentCompleted"],
    },
];

/// Something that is paid for.
pub(super) struct Payable {
    pub(super) kind: &'static Kind,
    pub(super) state: String,
    pub(super) amount: Money,
    pub(super) payment: String,
    pub(super) update_time: Time,
}

impl Payable {
    pub(super) fn stands(&self) -> bool {
        self.kind.standing.contains(&self.state.as_str())
    }
}

pub(super) struct Payment {
    pub(super) payable: String,
    pub(super) amount: Option<Money>,
    pub(super) state: String,
    pub(super) update_time: Time,
}

pub(super) struct Charge {
    pub(super) amount: Option<Money>,
    pub(super) state: String,
    pub(super) update_time: Time,
}

/// What a context announced, what it stores about it, and what it heard.
#[derive(Default)]
pub(super) struct Log {
    pub(super) events: Vec<Message>,
    /// Committed before the grace time and not published.
    pub(super) stuck: i64,
    /// The number of each aggregate's last event, as the aggregate says.
    pub(super) last_events: HashMap<String, i64>,
    /// `consumer/aggregate` and the number of the last event heard.
    pub(super) heard: Vec<(String, i64)>,
    pub(super) dead_letters: i64,
}

impl Books {
    /// Reads what the databases say, one after another: what moves meanwhile is within the grace time.
    pub(super) async fn read(places: &Places, grace_seconds: u32) -> anyhow::Result<Self> {
        let settled_before = Time(Clock::System.now().0 - i64::from(grace_seconds) * 1_000_000);
        let has = |context: &str| places.databases.contains_key(context);
        let creations = requests::read(places).await?;
        let mut logs = BTreeMap::new();
        // Downstream first: an event heard meanwhile is then found in its source's log.
        for (context, schema, table) in [
            ("dashboard", "dashboard", "order_views"),
            ("dashboard", dashboard::ENROLLMENT_SCHEMA, "enrollment_views"),
            ("dashboard", dashboard::CUSTOMER_SCHEMA, "customer_views"),
            ("notification", "notification", "notifications"),
            ("customer", "customer", "customers"),
            ("delivery", "delivery", "deliveries"),
            ("store", "store", "tickets"),
            ("kitchen", "kitchen", "productions"),
            ("education", "education", "registrations"),
            ("payment", "payment", "payments"),
            ("enrollment", "enrollment", "enrollments"),
            ("order", "order", "orders"),
            ("warehouse", "warehouse", "stock_items"),
        ] {
            if has(context) {
                let log = read_log(&places.database(context, schema)?, table, settled_before).await?;
                logs.insert(schema.to_owned(), log);
            }
        }
        let order_views = read_stored(places, "dashboard", "dashboard").await?;
        let enrollment_views = read_stored(places, "dashboard", dashboard::ENROLLMENT_SCHEMA).await?;
        let customer_views = read_stored(places, "dashboard", dashboard::CUSTOMER_SCHEMA).await?;
        let productions = read_stored(places, "kitchen", "kitchen").await?;
        let stock = read_stored(places, "warehouse", "warehouse").await?;
        let (mut payments, mut charges, mut payables) = (HashMap::new(), HashMap::new(), HashMap::new());
        for kind in KINDS.iter().filter(|kind| has(kind.context)) {
            payables.extend(read_payables(&places.database(kind.context, kind.context)?, kind).await?);
        }
        if has("payment") {
            payments = read_payments(&places.database("payment", "payment")?).await?;
            charges = read_charges(&places.database("payment", payment::PROVIDER_SCHEMA)?).await?;
        }
        let people = People::read(places).await?;
        let orders_by_customer = indexes::read(places).await?;
        let contexts = places.databases.keys().cloned().collect();
        Ok(Self {
            settled_before,
            payables,
            payments,
            charges,
            productions,
            stock,
            order_views,
            enrollment_views,
            customer_views,
            people,
            creations,
            orders_by_customer,
            logs,
            contexts,
        })
    }

    /// Whether the dashboard's views in this schema heard a context.
    pub(super) fn has_heard(&self, schema: &str, source: &str) -> bool {
        let gate = format!("-on-{source}/");
        self.logs.get(schema).is_some_and(|log| log.heard.iter().any(|(inbox, _)| inbox.contains(&gate)))
    }

    /// The kinds of what is paid for that were read.
    pub(super) fn kinds(&self) -> impl Iterator<Item = &'static Kind> {
        KINDS.iter().filter(|kind| self.have(&[kind.context]))
    }

    /// Whether every one of these contexts was read.
    pub(super) fn have(&self, contexts: &[&str]) -> bool {
        contexts.iter().all(|context| self.contexts.iter().any(|read| read == context))
    }
}

pub(super) async fn rows<T: Send + 'static>(
    database: &Database,
    sql: String,
    read: impl Fn(&mut Row) -> Result<T, StorageError> + Send + 'static,
) -> anyhow::Result<Vec<T>> {
    let rows = database.read(move |connection| connection.query(&sql, &[])?.iter_mut().map(&read).collect()).await;
    rows.map_err(|error| anyhow::anyhow!("cannot read {database:?}: {error}"))
}

async fn read_log(database: &Database, table: &str, settled_before: Time) -> anyhow::Result<Log> {
    let context = database.schema().to_owned();
    let count = |row: &mut Row| row.int();
    let stuck =
        format!("SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM unpublished WHERE time < {}", settled_before.0);
    let heard =
        rows(database, "SELECT id, last_event FROM inbox".to_owned(), |row| Ok((row.text()?, row.int()?))).await?;
    let last =
        rows(database, format!("SELECT id, last_event FROM {table}"), |row| Ok((row.text()?, row.int()?))).await?;
    Ok(Log {
        heard,
        last_events: last.into_iter().collect(),
        events: rows(database, format!("{SELECT_EVENTS} ORDER BY aggregate, number"), move |row| {
            read_event(&context, row)
        })
        .await?,
        stuck: rows(database, stuck, count).await?.first().copied().unwrap_or_default(),
        dead_letters: rows(database, "SELECT COUNT(*) FROM dead_letters".to_owned(), count)
            .await?
            .first()
            .copied()
            .unwrap_or_default(),
    })
}

async fn read_payables(database: &Database, kind: &'static Kind) -> anyhow::Result<Vec<(String, Payable)>> {
    let Kind { table, amount, .. } = kind;
    let sql = format!("SELECT id, state, currency, {amount}, payment, update_time FROM {table}");
    rows(database, sql, move |row| {
        let name = format!("{table}/{}", row.text()?);
        let (state, amount) = (row.text()?, row.money()?);
        Ok((name, Payable { kind, state, amount, payment: row.text()?, update_time: row.time()? }))
    })
    .await
}

async fn read_payments(database: &Database) -> anyhow::Result<HashMap<String, Payment>> {
    let sql = "SELECT id, payable, currency, amount, state, update_time FROM payments";
    let payments = rows(database, sql.to_owned(), |row| {
        let id = row.text()?;
        Ok((
            id,
            Payment {
                payable: row.text()?,
                amount: row.optional_money()?,
                state: row.text()?,
                update_time: row.time()?,
            },
        ))
    });
    Ok(payments.await?.into_iter().collect())
}

async fn read_charges(database: &Database) -> anyhow::Result<HashMap<String, Charge>> {
    let sql = "SELECT id, currency, amount, state, update_time FROM charges";
    let charges = rows(database, sql.to_owned(), |row| {
        let id = row.text()?;
        Ok((id, Charge { amount: row.optional_money()?, state: row.text()?, update_time: row.time()? }))
    });
    Ok(charges.await?.into_iter().collect())
}

/// The aggregates in one of a context's databases, by id; none when the context is not there.
async fn read_stored<A: Stored>(places: &Places, context: &str, schema: &str) -> anyhow::Result<HashMap<String, A>> {
    if !places.databases.contains_key(context) {
        return Ok(HashMap::new());
    }
    let columns = A::TABLE.columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ");
    let sql = format!("SELECT id, {columns} FROM {}", A::TABLE.name);
    let database = places.database(context, schema)?;
    let stored = rows(&database, sql, |row| {
        let id = row.text()?;
        Ok((id.clone(), A::from_row(id, row)?))
    });
    Ok(stored.await?.into_iter().collect())
}
