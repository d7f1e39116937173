//! What every context wrote, as it stands in the databases.

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

/// The provider's ledger, in a database of its own beside payment's.
const PROVIDER_SCHEMA: &str = "payment_provider";

/// Everything that was read.
pub(crate) struct Snapshot {
    /// What changed after this may still be on its way.
    pub(crate) settled_before: Time,
    /// What is paid for, by its name.
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
    /// Orders and the entries of their index by customer, where they were read.
    pub(crate) orders_by_customer: Option<Vec<indexes::Entry>>,
    /// Each context's log.
    pub(crate) logs: BTreeMap<String, Log>,
    /// Which contexts were read.
    pub(crate) contexts: Vec<String>,
}

/// A kind of thing that is paid for, as its context stores it.
pub(crate) struct Kind {
    pub(crate) context: &'static str,
    /// Its table, and the collection of its names.
    pub(crate) table: &'static str,
    /// The column of what it costs.
    amount: &'static str,
    /// The states in which it stands.
    pub(crate) standing: &'static [&'static str],
    /// What says that it stands, that it never stood, that it was withdrawn, and that it was completed.
    pub(crate) announcements: [&'static str; 4],
}

/// Everything that is paid for.
pub(crate) const KINDS: [Kind; 2] = [
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
pub(crate) struct Payable {
    pub(crate) kind: &'static Kind,
    pub(crate) state: String,
    pub(crate) amount: Money,
    pub(crate) payment: String,
    pub(crate) update_time: Time,
}

impl Payable {
    pub(crate) fn stands(&self) -> bool {
        self.kind.standing.contains(&self.state.as_str())
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
    /// As the contract names it.
    pub(crate) state: String,
    pub(crate) owes: bool,
    pub(crate) update_time: Time,
}

engine::record! {
    Production(id: String) in "productions" { lines as json, state, owes, update_time }
}

impl Production {
    /// The state, as the contract has it; None: the contract has no such state.
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

/// What is in stock of one item.
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

/// What a context announced, what it stores about it, and what it heard.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) events: Vec<Envelope>,
    /// Committed before the grace time and not published.
    pub(crate) stuck: i64,
    /// The number of each aggregate's last event, as the aggregate says.
    pub(crate) last_events: HashMap<String, i64>,
    /// `consumer/aggregate` and the number of the last event heard.
    pub(crate) heard: Vec<(String, i64)>,
    pub(crate) dead_letters: i64,
}

impl Snapshot {
    /// Reads what the databases say, one after another: what moves meanwhile is within the grace time.
    pub(crate) async fn read(
        places: &Topology,
        schemas: &[(&'static str, &'static str)],
        grace_seconds: u32,
    ) -> anyhow::Result<Self> {
        let settled_before = Time(Clock::System.now().0 - i64::from(grace_seconds) * 1_000_000);
        let has = |context: &str| places.databases.contains_key(context);
        let creations = creations::read(places).await?;
        let mut logs = BTreeMap::new();
        let here = schemas.iter().filter(|(context, _)| has(context));
        for (context, schema) in here.clone() {
            logs.insert((*schema).to_owned(), read_inbox(&places.database(context, schema)?).await?);
        }
        let order_views = read_stored(places, "dashboard", "dashboard").await?;
        let enrollment_views = read_stored(places, "dashboard", dashboard::ENROLLMENT_SCHEMA).await?;
        let customer_views = read_stored(places, "dashboard", dashboard::CUSTOMER_SCHEMA).await?;
        // Last: whatever was applied meanwhile is then found in its source's log.
        for (context, schema) in here {
            let log = logs.entry((*schema).to_owned()).or_default();
            read_log(&places.database(context, schema)?, log, settled_before).await?;
        }
        let (mut productions, mut stock) = (HashMap::new(), HashMap::new());
        if has("kitchen") {
            productions = by_own_id(&places.database("kitchen", "kitchen")?).await?;
        }
        if has("warehouse") {
            stock = by_own_id(&places.database("warehouse", "warehouse")?).await?;
        }
        let (mut payments, mut charges, mut payables) = (HashMap::new(), HashMap::new(), HashMap::new());
        for kind in KINDS.iter().filter(|kind| has(kind.context)) {
            payables.extend(read_payables(&places.database(kind.context, kind.context)?, kind).await?);
        }
        if has("payment") {
            payments = by_id(&places.database("payment", "payment")?).await?;
            charges = by_id(&places.database("payment", PROVIDER_SCHEMA)?).await?;
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
    pub(crate) fn has_heard(&self, schema: &str, source: &str) -> bool {
        let gate = format!("-on-{source}/");
        self.logs.get(schema).is_some_and(|log| log.heard.iter().any(|(inbox, _)| inbox.contains(&gate)))
    }

    /// The kinds of what is paid for that were read.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = &'static Kind> {
        KINDS.iter().filter(|kind| self.have(&[kind.context]))
    }

    /// Whether every one of these contexts was read.
    pub(crate) fn have(&self, contexts: &[&str]) -> bool {
        contexts.iter().all(|context| self.contexts.iter().any(|read| read == context))
    }
}

/// What a database has applied of others' events, and what its own aggregates say of theirs.
async fn read_inbox(database: &Database) -> anyhow::Result<Log> {
    let number = |row: &mut Row| Ok((row.text()?, row.int()?));
    let heard = rows(database, "SELECT id, last_event FROM inbox".to_owned(), number).await?;
    let mut last_events = HashMap::new();
    for table in aggregate_tables(database).await? {
        last_events.extend(rows(database, format!("SELECT id, last_event FROM {table}"), number).await?);
    }
    let dead_letters = count(database, "SELECT COUNT(*) FROM dead_letters".to_owned()).await?;
    Ok(Log { heard, last_events, dead_letters, ..Log::default() })
}

/// The tables of a database's aggregates: those that count events, as the inbox does.
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
    log.events = rows(database, format!("{} ORDER BY aggregate, number", select::<Envelope>(&[])), move |row| {
        Envelope::from_row(context.clone(), row)
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

/// The aggregates in one of a context's databases, by id; none when the context is not there.
async fn read_stored<A: Stored>(places: &Topology, context: &str, schema: &str) -> anyhow::Result<HashMap<String, A>> {
    if !places.databases.contains_key(context) {
        return Ok(HashMap::new());
    }
    by_own_id(&places.database(context, schema)?).await
}
