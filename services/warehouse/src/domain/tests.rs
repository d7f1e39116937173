use jumun_core::{Code, EventKind};

use super::*;

fn coffee(quantity: i64) -> StockItem {
    StockItem { id: "americano".to_owned(), quantity, create_time: Time(1), update_time: Time(1) }
}

fn after(decision: Result<Decision<StockItem>, Error>) -> (i64, &'static str) {
    match decision.expect("no refusal") {
        Decision::Save(item, events) => {
            assert_eq!(
                (events.len(), events[0].quantity),
                (1, item.quantity),
                "each change has an event with the new quantity"
            );
            (item.quantity, EventKind::kind(&events[0]))
        }
        Decision::Leave => panic!("nothing changed"),
    }
}

#[test]
fn a_reduction_takes_exactly_the_requested_quantity() {
    assert_eq!(after(coffee(5).reduce("productions/a", 3, Time(2))), (2, "StockReduced"));
    assert_eq!(after(coffee(5).reduce("productions/a", 5, Time(2))), (0, "StockReduced"));
}

#[test]
fn a_reduction_below_zero_is_refused_with_the_available_quantity() {
    let refused = coffee(5).reduce("productions/a", 6, Time(2)).expect_err("too much");
    assert_eq!((refused.code, refused.reason), (Code::FailedPrecondition, "NOT_ENOUGH_STOCK"));
    assert_eq!(refused.metadata, [("available", "5".to_owned())]);
}

#[test]
fn restocked_and_released_stock_is_added() {
    assert_eq!(after(coffee(0).restock(7, Time(2))), (7, "StockRestocked"));
    assert_eq!(after(coffee(7).release("productions/a", 2, Time(2))), (9, "StockReleased"));
}

#[test]
fn a_quantity_above_the_maximum_is_refused() {
    let refused = coffee(MAX_QUANTITY).restock(1, Time(2)).expect_err("too much");
    assert_eq!(refused.reason, "TOO_MUCH_STOCK");
    assert_eq!(coffee(1).restock(i64::MAX, Time(2)).expect_err("too much").reason, "TOO_MUCH_STOCK");
}

#[test]
fn the_stock_item_of_a_product_is_created_once() {
    assert_eq!(after(StockItem::create(None, &coffee(5))), (5, "StockItemCreated"));
    let refused = StockItem::create(Some(&coffee(1)), &coffee(5)).expect_err("it exists already");
    assert_eq!((refused.code, refused.reason), (Code::AlreadyExists, "STOCK_ITEM_EXISTS"));
}
