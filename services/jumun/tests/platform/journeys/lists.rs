//! Lists of orders: page by page, newest first, and filtered.

use std::time::Duration;

use contracts::order::v1::{ListOrdersRequest, ListOrdersResponse};
use tonic::{Code, Status};

use super::food::{ABANDONED, Food, inner, order_named_by, wish, wrong_fields};

async fn page(food: &Food, page_size: i32, page_token: &str, filter: &str) -> Result<ListOrdersResponse, Status> {
    page_by(food, page_size, page_token, filter, "").await
}

async fn page_by(
    food: &Food,
    page_size: i32,
    page_token: &str,
    filter: &str,
    order_by: &str,
) -> Result<ListOrdersResponse, Status> {
    let [page_token, filter, order_by] = [page_token, filter, order_by].map(str::to_owned);
    inner(food.orders().list_orders(ListOrdersRequest { page_size, page_token, filter, order_by }).await)
}

/// The names on every page of two.
async fn walk(food: &Food, filter: &str) -> Vec<String> {
    let (mut names, mut token) = (Vec::new(), String::new());
    loop {
        let page = page(food, 2, &token, filter).await.expect("a page");
        assert!(page.orders.len() <= 2);
        names.extend(page.orders.into_iter().map(|order| order.name));
        assert!(names.len() < 100, "the pages have no end");
        token = page.next_page_token;
        if token.is_empty() {
            return names;
        }
    }
}

#[tokio::test]
async fn orders_are_listed_page_by_page_newest_first_and_filtered() {
    let food = Food::open().await;
    let mut names = Vec::new();
    for (index, customer) in ["mina", "joon", "mina", "mina", "joon"].iter().enumerate() {
        let order = contracts::order::v1::Order { customer: format!("customers/{customer}"), ..wish("tok_visa") };
        names.insert(0, food.order(&index.to_string(), &order).await.expect("an order").name);
        food.cluster.advance(Duration::from_secs(1)).await;
    }
    food.cancel(&names[1]).await.expect("not cooking");
    let error = food.order("declined", &wish("tok_declined")).await.expect_err("no money");
    names.insert(0, order_named_by(&error));

    let chosen = |indexes: &[usize]| indexes.iter().map(|index| names[*index].clone()).collect::<Vec<_>>();
    assert_eq!(walk(&food, "").await, names);
    assert_eq!(walk(&food, "customer = customers/joon").await, chosen(&[1, 4]));
    assert_eq!(walk(&food, "customer = \"customers/mina\" AND state = PLACED").await, chosen(&[3, 5]));
    assert_eq!(walk(&food, "state = CANCELLED AND customer = customers/mina").await, chosen(&[2]));
    assert_eq!(walk(&food, "state = REJECTED").await, chosen(&[0]));
    assert_eq!(walk(&food, "customer = customers/nobody").await, Vec::<String>::new());
    food.cluster.advance(ABANDONED).await;
    food.close().await;
}

#[tokio::test]
async fn a_page_token_serves_only_the_list_it_came_from() {
    let food = Food::open().await;
    for index in 0..3 {
        food.place(&index.to_string()).await;
    }
    let token = page(&food, 1, "", "state = PLACED").await.expect("a page").next_page_token;
    assert!(page(&food, 2, &token, "state = PLACED").await.is_ok(), "another page size is the same list");
    for (token, filter) in [(token.as_str(), ""), (token.as_str(), "state = COOKING"), (&token[1..], "state = PLACED")]
    {
        assert_eq!(page(&food, 1, token, filter).await.expect_err("another list").code(), Code::InvalidArgument);
    }
    food.close().await;
}

#[tokio::test]
async fn orders_are_listed_oldest_first_when_asked_and_tokens_outlive_the_process() {
    let mut food = Food::open().await;
    let mut names = Vec::new();
    for index in 0..5 {
        names.push(food.place(&index.to_string()).await.name);
    }
    let (mut walked, mut token) = (Vec::new(), String::new());
    while walked.len() < names.len() {
        let page = page_by(&food, 2, &token, "", "create_time").await.expect("a page");
        walked.extend(page.orders.into_iter().map(|order| order.name));
        token = page.next_page_token;
        if !token.is_empty() {
            let error = page_by(&food, 2, &token, "", "create_time desc").await.expect_err("another order");
            assert_eq!(wrong_fields(&error), ["page_token"]);
            food.cluster.restart().await;
        }
    }
    assert_eq!((walked, token), (names, String::new()));
    food.close().await;
}

#[tokio::test]
async fn walking_the_pages_gives_each_order_once_while_more_are_placed() {
    let food = Food::open().await;
    let mut before = Vec::new();
    for index in 0..7 {
        before.insert(0, food.place(&index.to_string()).await.name);
        food.cluster.advance(Duration::from_secs(1)).await;
    }
    let (mut walked, mut token) = (Vec::new(), String::new());
    for step in 0.. {
        assert!(step < 100, "the pages have no end");
        let page = page(&food, 2, &token, "").await.expect("a page");
        walked.extend(page.orders.into_iter().map(|order| order.name));
        food.place(&format!("meanwhile-{step}")).await;
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(walked, before);
    food.close().await;
}
