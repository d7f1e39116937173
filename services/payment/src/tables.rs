//! How payments, and the simulated provider's charges, are stored.

use kit::{
    Money, Owner, StateName, Stored,
    storage::{Column, Row, StorageError, Table, Value},
};

use crate::{domain::Payment, provider::Charge};

impl Stored for Payment {
    const TABLE: Table = Table {
        name: "payments",
        columns: &[
            Column::text("payable"),
            Column::text("currency"),
            Column::int("amount"),
            Column::text("payment_method"),
            Column::text("fingerprint"),
            Column::text("state"),
            Column::text("decline_reason"),
            Column::int("create_time"),
            Column::int("update_time"),
        ],
    };

    /// Nobody's: customers meet their payments in their orders.
    const OWNERS: &'static [Owner<Self>] = &[];

    fn to_row(&self) -> Vec<Value<'_>> {
        vec![
            self.payable.as_str().into(),
            self.amount.map(Money::currency).into(),
            self.amount.map(Money::minor).into(),
            self.payment_method.as_str().into(),
            self.fingerprint.as_str().into(),
            self.state.name().into(),
            self.decline_reason.as_str().into(),
            self.create_time.0.into(),
            self.update_time.0.into(),
        ]
    }

    fn from_row(id: String, row: &mut Row) -> Result<Self, StorageError> {
        Ok(Self {
            id,
            payable: row.text()?,
            amount: row.optional_money()?,
            payment_method: row.text()?,
            fingerprint: row.text()?,
            state: row.state()?,
            decline_reason: row.text()?,
            create_time: row.time()?,
            update_time: row.time()?,
        })
    }
}

impl Stored for Charge {
    const TABLE: Table = Table {
        name: "charges",
        columns: &[
            Column::text("currency"),
            Column::int("amount"),
            Column::text("state"),
            Column::text("decline_reason"),
            Column::int("create_time"),
            Column::int("update_time"),
        ],
    };

    /// Nobody's: these are the provider's own books.
    const OWNERS: &'static [Owner<Self>] = &[];

    fn to_row(&self) -> Vec<Value<'_>> {
        vec![
            self.amount.map(Money::currency).into(),
            self.amount.map(Money::minor).into(),
            self.state.name().into(),
            self.decline_reason.as_str().into(),
            self.create_time.0.into(),
            self.update_time.0.into(),
        ]
    }

    fn from_row(id: String, row: &mut Row) -> Result<Self, StorageError> {
        Ok(Self {
            id,
            amount: row.optional_money()?,
            state: row.state()?,
            decline_reason: row.text()?,
            create_time: row.time()?,
            update_time: row.time()?,
        })
    }
}
