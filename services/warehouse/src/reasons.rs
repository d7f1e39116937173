//! Errors of the warehouse context.

jumun_core::reasons! {
    STOCK_ITEM_EXISTS: AlreadyExists,
        "The product already has a stock item.",
        "Restock it.";
    NOT_ENOUGH_STOCK: FailedPrecondition,
        "There is less stock than requested; `available` contains the quantity. Nothing was reserved.",
        "Request less, or repeat the request after a restock.";
    TOO_MUCH_STOCK: FailedPrecondition,
        "The quantity would exceed the maximum.",
        "Add less.";
}
