//! A snapshot of the databases of every context.

use std::collections::{BTreeMap, HashMap};

use contracts::kitchen::v1::production::State;
use engine::{
    Stored,
    storage::{Connection, Database, Field, Record, Row, select},
};
use jumun_core::{Clock, Envelope, Money, Time};
use runtime::Topology;
use serde::{Deserialize, Serialize};

use crate::{
    creations::{self, Creation},
    indexes,
    people::People,
    tables::{by_id, by_own_id, count, rows},
};

/// The ledger of the provider, in a database of its own next to that of payment.
const PROVIDER_SCHEMA: &str = "payment_provider";

/// The contents of the databases.
pub(crate) struct Snapshot {
    /// Anything that changed later may still be in progress.
    pub(crate) settled_before: Time,
    /// Orders and enrollments, by name.
    pub(crate) payables: HashMap<String, Payable>,
    pub(crate) payments: HashMap<String, Payment>,
    pub(crate) charges: HashMap<String, Charge>,
    pub(crate) productions: HashMap<String, Production>,
    pub(crate) stock: HashMap<String, StockItem>,
    pub(crate) order_views: HashMap<String, dashboard::OrderView>,
    pub(crate) enrollment_views: HashMap<String, dashboard::EnrollmentView>,
    pub(crate) customer_views: HashMap<String, dashboard::CustomerView>,
    pub(crate) people: People,
    pub(crate) creations: Vec<Creation>,
    /// Orders and the entries of their index by customer, if the order database exists.
    pub(crate) orders_by_customer: Option<Vec<indexes::Entry>>,
    /// The log of each schema.
    pub(crate) logs: BTreeMap<String, Log>,
    /// The contexts whose databases were read.
    pub(crate) contexts: Vec<String>,
}

/// A type of payable, as its context stores it.
pub(crate) struct Kind {
    pub(crate) context: &'static str,
    /// The table, which is also the collection in the names.
    pub(crate) table: &'static str,
    /// The column of the amount.
    amount: &'static str,
    /// The states in which it must be paid.
    pub(crate) active: &'static [&'static str],
    /// The events that announce that it was placed, rejected, cancelled and completed.
    pub(crate) announcements: [&'static str; 4],
}

/// Every type of payable.
pub(crate) const KINDS: [Kind; 2] = [
    Kind {
        context: "order",
        table: "orders",
        amount: "total",
        active: &["PLACED", "OUT_OF_STOCK", "ACCEPTED", "COOKING", "PRODUCING", "READY", "PICKED_UP", "COMPLETED"],
        announcements: ["OrderPlaced", "OrderRejected", "OrderCancelled", "OrderCompleted"],
    },
    Kind {
        context: "enrollment",
        table: "enrollments",
        amount: "fee",
        active: &["ENROLLED", "COMPLETED"],
        announcements: ["LearnerEnrolled", "EnrollmentRejected", "EnrollmentCancelled", "EnrollmentCompleted"],
    },
];

/// An order or an enrollment.
pub(crate) struct Payable {
    pub(crate) kind: &'static Kind,
    pub(crate) state: String,
    pub(crate) amount: Money,
    pub(crate) payment: String,
    pub(crate) update_time: Time,
}

impl Payable {
    pub(crate) fn is_active(&self) -> bool {
        self.kind.active.contains(&self.state.as_str())
    }
}

pub(crate) struct Payment {
    pub(crate) payable: String,
    pub(crate) amount: Option<Money>,
    pub(crate) state: String,
    pub(crate) update_time: Time,
}

engine::record! {
    Payment in "payments" { payable, amount as ("currency", "amount"), state, update_time }
}

pub(crate) struct Charge {
    pub(crate) amount: Option<Money>,
    pub(crate) state: String,
    pub(crate) update_time: Time,
}

engine::record! {
    Charge in "charges" { amount as ("currency", "amount"), state, update_time }
}

/// An order for the counter, as the kitchen stores it.
pub(crate) struct Production {
    pub(crate) id: String,
    pub(crate) lines: Vec<Line>,
    /// The state, by its name in the proto.
    pub(crate) state: String,
    pub(crate) owes: bool,
    pub(crate) update_time: Time,
}

engine::record! {
    Production(id: String) in "productions" { lines as json, state, owes, update_time }
}

impl Production {
    /// The state in the proto; None if the proto does not have it.
    pub(crate) fn state(&self) -> Option<State> {
        State::from_str_name(&self.state)
    }

    pub(crate) fn name(&self) -> String {
        format!("productions/{}", self.id)
    }
}

/// One product of a production.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Line {
    pub(crate) item: String,
    pub(crate) quantity: i64,
}

/// The stock of one item.
pub(crate) struct StockItem {
    pub(crate) id: String,
    pub(crate) quantity: i64,
    pub(crate) update_time: Time,
}

engine::record! {
    StockItem(id: String) in "stock_items" { quantity, update_time }
}

impl StockItem {
    pub(crate) fn name(&self) -> String {
        format!("stockItems/{}", self.id)
    }
}

/// The events of a schema: published, counted by its aggregates, and applied from others.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) events: Vec<Envelope>,
    /// How many events were committed before the grace time and are not published.
    pub(crate) stuck: i64,
    /// The number of the last event of each aggregate, stored with the aggregate.
    pub(crate) last_events: HashMap<String, i64>,
    /// `consumer/aggregate`, and the number of the last event that was applied from a broker.
    pub(crate) applied: Vec<(String, i64)>,
    /// The consumers that read the histories themselves.
    pub(crate) readers: Vec<String>,
    pub(crate) dead_letters: i64,
}

impl Snapshot {
    /// Reads the databases one after another; changes in the meantime are within the grace time.
    pub(crate) async fn read(
        topology: &Topology,
        schemas: &[(&'static str, &'static str)],
        grace_seconds: u32,
    ) -> anyhow::Result<Self> {
        let settled_before = Time(Clock::System.now().0 - i64::from(grace_seconds) * 1_000_000);
        let has = |context: &str| topology.databases.contains_key(context);
        let creations = creations::read(topology).await?;
        let mut logs = BTreeMap::new();
        let existing = schemas.iter().filter(|(context, _)| has(context));
        for (context, schema) in existing.clone() {
            logs.insert((*schema).to_owned(), read_inbox(&topology.database(context, schema)?).await?);
        }
        let order_views = read_stored(topology, "dashboard", "dashboard").await?;
        let enrollment_views = read_stored(topology, "dashboard", dashboard::ENROLLMENT_SCHEMA).await?;
        let customer_views = read_stored(topology, "dashboard", dashboard::CUSTOMER_SCHEMA).await?;
        // Logs last: they contain every event that was applied in the meantime.
        for (context, schema) in existing {
            let log = logs.entry((*schema).to_owned()).or_default();
            read_log(&topology.database(context, schema)?, log, settled_before).await?;
        }
        let (mut productions, mut stock) = (HashMap::new(), HashMap::new());
        if has("kitchen") {
            productions = by_own_id(&topology.database("kitchen", "kitchen")?).await?;
        }
        if has("warehouse") {
            stock = by_own_id(&topology.database("warehouse", "warehouse")?).await?;
        }
        let (mut payments, mut charges, mut payables) = (HashMap::new(), HashMap::new(), HashMap::new());
        for kind in KINDS.iter().filter(|kind| has(kind.context)) {
            payables.extend(read_payables(&topology.database(kind.context, kind.context)?, kind).await?);
        }
        if has("payment") {
            payments = by_id(&topology.database("payment", "payment")?).await?;
            charges = by_id(&topology.database("payment", PROVIDER_SCHEMA)?).await?;
        }
        let people = People::read(topology).await?;
        let orders_by_customer = indexes::read(topology).await?;
        let contexts = topology.databases.keys().cloned().collect();
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

    /// Whether the dashboard views in this schema applied events of a context.
    pub(crate) fn has_applied(&self, schema: &str, source: &str) -> bool {
        let (consumer, subscription) = (format!("-on-{source}"), format!("-on-{source}/"));
        self.logs.get(schema).is_some_and(|log| {
            log.readers.iter().any(|reader| reader.ends_with(&consumer))
                || log.applied.iter().any(|(inbox, _)| inbox.contains(&subscription))
        })
    }

    /// The types of payables that were read.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = &'static Kind> {
        KINDS.iter().filter(|kind| self.have(&[kind.context]))
    }

    /// Whether all of these contexts were read.
    pub(crate) fn have(&self, contexts: &[&str]) -> bool {
        contexts.iter().all(|context| self.contexts.iter().any(|read| read == context))
    }
}

/// Reads the events that a schema applied, and the event numbers of its own aggregates.
async fn read_inbox(database: &Database) -> anyhow::Result<Log> {
    let number = |row: &mut Row| Ok((row.text()?, row.int()?));
    let applied = rows(database, "SELECT id, last_event FROM inbox".to_owned(), number).await?;
    let readers = "SELECT consumer FROM positions".to_owned();
    let readers = rows(database, readers, Row::text).await?;
    let mut last_events = HashMap::new();
    for table in aggregate_tables(database).await? {
        last_events.extend(rows(database, format!("SELECT id, last_event FROM {table}"), number).await?);
    }
    let dead_letters = count(database, "SELECT COUNT(*) FROM dead_letters".to_owned()).await?;
    Ok(Log { applied, readers, last_events, dead_letters, ..Log::default() })
}

/// The tables of aggregates: those with an event number, except the inbox.
async fn aggregate_tables(database: &Database) -> anyhow::Result<Vec<String>> {
    let sqlite = "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'inbox' \
        AND EXISTS (SELECT 1 FROM pragma_table_info(sqlite_master.name) AS col WHERE col.name = 'last_event')";
    let postgres = "SELECT CAST(table_name AS TEXT) FROM information_schema.columns \
        WHERE table_schema = current_schema() AND column_name = 'last_event' AND table_name <> 'inbox'";
    let tables = database.read(move |connection| {
        let sql = if matches!(connection, Connection::Sqlite(_)) { sqlite } else { postgres };
        connection.query(sql, &[])?.iter_mut().map(Row::text).collect()
    });
    tables.await.map_err(|error| anyhow::anyhow!("cannot read {database:?}: {error}"))
}

async fn read_log(database: &Database, log: &mut Log, settled_before: Time) -> anyhow::Result<()> {
    let context = database.schema().to_owned();
    log.events = rows(database, format!("{} ORDER BY aggregate, number", select::<Envelope>(&["seq"])), move |row| {
        let sequence = row.int()?;
        Envelope::from_row((context.clone(), sequence), row)
    })
    .await?;
    let stuck = "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM unpublished WHERE time <";
    log.stuck = count(database, format!("{stuck} {}", settled_before.0)).await?;
    Ok(())
}

async fn read_payables(database: &Database, kind: &'static Kind) -> anyhow::Result<Vec<(String, Payable)>> {
    let Kind { table, amount, .. } = kind;
    let sql = format!("SELECT id, state, currency, {amount}, payment, update_time FROM {table}");
    rows(database, sql, move |row| {
        let name = format!("{table}/{}", row.text()?);
        let (state, amount) = (row.text()?, Field::read(row)?);
        Ok((name, Payable { kind, state, amount, payment: row.text()?, update_time: Field::read(row)? }))
    })
    .await
}

/// Reads the aggregates in a schema of a context, by ID; empty if the context does not exist.
async fn read_stored<A: Stored>(
    topology: &Topology,
    context: &str,
    schema: &str,
) -> anyhow::Result<HashMap<String, A>> {
    if !topology.databases.contains_key(context) {
        return Ok(HashMap::new());
    }
    by_own_id(&topology.database(context, schema)?).await
}
