//! Why the warehouse context refuses.

jumun_core::reasons! {
    STOCK_ITEM_EXISTS: AlreadyExists,
        "A product is to be taken into the range that is there already.",
        "Restock it.";
    NOT_ENOUGH_STOCK: FailedPrecondition,
        "There is less than is asked for; `available` says how much. Nothing was taken.",
        "Ask for less, or again when it was restocked.";
    TOO_MUCH_STOCK: FailedPrecondition,
        "There would be more of a product than can be counted.",
        "Add less.";
}
