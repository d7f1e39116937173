//! The books: what every context wrote, as it stands in the databases.

use std::collections::{BTreeMap, HashMap};

use kit::{
    Clock, Message, Money, Places, Stored, Time,
    outbox::{SELECT_EVENTS, read_event},
    storage::{Database, Row, StorageError},
};

/// Everything that was read.
pub(super) struct Books {
    /// What changed after this may still be on its way.
    pub(super) settled_before: Time,
    pub(super) orders: HashMap<String, Order>,
    pub(super) payments: HashMap<String, Payment>,
    pub(super) charges: HashMap<String, Charge>,
    pub(super) views: HashMap<String, dashboard::OrderView>,
    /// Each context's log.
    pub(super) logs: BTreeMap<String, Log>,
    /// Which contexts were read.
    pub(super) contexts: Vec<String>,
}

pub(super) struct Order {
    pub(super) state: String,
    pub(super) total: Money,
    pub(super) payment: String,
    pub(super) update_time: Time,
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
        let mut logs = BTreeMap::new();
        // Downstream first: an event heard meanwhile is then found in its source's log.
        for (context, table) in [
            ("dashboard", "order_views"),
            ("delivery", "deliveries"),
            ("store", "tickets"),
            ("payment", "payments"),
            ("order", "orders"),
        ] {
            if has(context) {
                logs.insert(
                    context.to_owned(),
                    read_log(&places.database(context, context)?, table, settled_before).await?,
                );
            }
        }
        let views = if has("dashboard") {
            read_views(&places.database("dashboard", "dashboard")?).await?
        } else {
            HashMap::new()
        };
        let (mut payments, mut charges, mut orders) = (HashMap::new(), HashMap::new(), HashMap::new());
        if has("order") {
            orders = read_orders(&places.database("order", "order")?).await?;
        }
        if has("payment") {
            payments = read_payments(&places.database("payment", "payment")?).await?;
            charges = read_charges(&places.database("payment", payment::PROVIDER_SCHEMA)?).await?;
        }
        let contexts = places.databases.keys().cloned().collect();
        Ok(Self { settled_before, orders, payments, charges, views, logs, contexts })
    }

    /// Whether every one of these contexts was read.
    pub(super) fn have(&self, contexts: &[&str]) -> bool {
        contexts.iter().all(|context| self.contexts.iter().any(|read| read == context))
    }
}

async fn rows<T: Send + 'static>(
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
    let stuck = format!(
        "SELECT COUNT(*) FROM unpublished JOIN events USING (aggregate, number) WHERE time < {}",
        settled_before.0
    );
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

async fn read_orders(database: &Database) -> anyhow::Result<HashMap<String, Order>> {
    let sql = "SELECT id, state, currency, total, payment, update_time FROM orders";
    let orders = rows(database, sql.to_owned(), |row| {
        let id = row.text()?;
        Ok((id, Order { state: row.text()?, total: row.money()?, payment: row.text()?, update_time: row.time()? }))
    });
    Ok(orders.await?.into_iter().collect())
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

async fn read_views(database: &Database) -> anyhow::Result<HashMap<String, dashboard::OrderView>> {
    let columns = dashboard::OrderView::TABLE.columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ");
    let views = rows(database, format!("SELECT id, {columns} FROM order_views"), |row| {
        let id = row.text()?;
        Ok((id.clone(), dashboard::OrderView::from_row(id, row)?))
    });
    Ok(views.await?.into_iter().collect())
}
