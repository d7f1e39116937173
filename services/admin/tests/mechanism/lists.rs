//! Lists: pages, filters, page tokens and the deferred index.

use std::{collections::BTreeSet, time::Duration};

use engine::{Decision, PageRequest};
use jumun_core::name::new_id;
use testkit::TestCluster;
use tonic::Code;

use super::counter::{Built, Counter, FILTER, counting_cluster};

async fn create(built: &Built, id: &str, note: &str) {
    let counter = Counter { id: id.to_owned(), value: 0, note: Some(note.to_owned()) };
    let create = move |_: Option<&Counter>| Decision::save(counter.clone());
    built.counters().execute(id, None, create).await.expect("created");
}

async fn page(built: &Built, size: i32, token: &str, filter: &str) -> Result<(Vec<String>, String), jumun_core::Error> {
    let request = PageRequest { page_size: size, page_token: token, filter, ..Default::default() };
    let (counters, next) = built.counters().list(request, FILTER).await?;
    Ok((counters.into_iter().map(|counter| counter.id).collect(), next))
}

#[tokio::test]
async fn walking_all_pages_gives_every_row_once_while_rows_are_inserted() {
    let (cluster, built) = counting_cluster().await;
    let mut before = BTreeSet::new();
    for index in 0..57 {
        let id = format!("row-{index:02}");
        create(&built, &id, "old").await;
        before.insert(id);
    }
    for size in [1, 7, 10, 57, 100] {
        let (mut walked, mut token) = (Vec::new(), String::new());
        for step in 0.. {
            assert!(step < 1_000, "the pages have no end");
            let (ids, next) = page(&built, size, &token, "").await.expect("a page");
            assert!(ids.len() <= usize::try_from(size).expect("small"));
            walked.extend(ids);
            // Before, among and after the existing rows.
            create(&built, &format!("{}-{size}-{step}", ["a", "row-30", "z"][step % 3]), "new").await;
            token = next;
            if token.is_empty() {
                break;
            }
        }
        let distinct: BTreeSet<_> = walked.iter().cloned().collect();
        assert_eq!(distinct.len(), walked.len(), "a row came twice on pages of {size}");
        assert!(distinct.is_superset(&before), "a row was left out on pages of {size}");
    }
    cluster.finish().await;
}

#[tokio::test]
async fn rows_are_listed_newest_first_by_their_ids() {
    let (cluster, built) = counting_cluster().await;
    let ids: Vec<_> = (0..120).map(|_| new_id()).collect();
    for id in &ids {
        create(&built, id, "x").await;
    }
    let listed = page(&built, 100, "", "").await.expect("a page").0;
    assert_eq!(listed, ids.iter().rev().take(100).cloned().collect::<Vec<_>>());
    assert_eq!(page(&built, 0, "", "").await.expect("a page").0, listed[..50]);
    assert_eq!(page(&built, 1_000_000, "", "").await.expect("a page").0, listed);
    cluster.finish().await;
}

#[tokio::test]
async fn a_filter_finds_exact_matches_and_is_never_sql() {
    let (cluster, built) = counting_cluster().await;
    create(&built, "plain", "note").await;
    create(&built, "odd", "it's; DROP TABLE counters --").await;
    assert_eq!(page(&built, 0, "", "note = note").await.expect("a page").0, ["plain"]);
    let odd = "note = \"it's; DROP TABLE counters --\"";
    assert_eq!(page(&built, 0, "", odd).await.expect("a page").0, ["odd"]);
    assert!(page(&built, 0, "", "note = \"' OR 1=1 --\"").await.expect("a page").0.is_empty());
    for wrong in ["value = 0", "id = plain", "note", "note = ", "note = a b", "note = a OR note = b"] {
        assert_eq!(page(&built, 0, "", wrong).await.expect_err(wrong).code, Code::InvalidArgument, "{wrong}");
    }
    cluster.finish().await;
}

/// Entries of the deferred index that are merged, and those that wait.
fn merged_and_waiting(cluster: &TestCluster) -> (i64, i64) {
    let mut connection = cluster.database("counter", "counter").connect().expect("a connection");
    let mut count = |table: &str| {
        let sql = format!("SELECT COUNT(*) FROM {table}");
        connection.query(&sql, &[]).expect("a count").remove(0).int().expect("a count")
    };
    (count("counters_by_note"), count("counters_by_note_waiting"))
}

async fn until_all_are_merged(cluster: &TestCluster, entries: i64) {
    let merged = async {
        while merged_and_waiting(cluster) != (entries, 0) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), merged).await.expect("they are merged");
}

#[tokio::test]
async fn a_deferred_index_finds_waiting_and_merged_entries() {
    let (mut cluster, built) = counting_cluster().await;
    // After a start the number of waiting entries is unknown, so the first ones are merged.
    create(&built, "a", "note").await;
    until_all_are_merged(&cluster, 1).await;
    for id in ["b", "c", "d"] {
        create(&built, id, if id == "c" { "other" } else { "note" }).await;
    }
    assert_eq!(merged_and_waiting(&cluster), (1, 3), "few entries stay waiting");
    let (first, token) = page(&built, 2, "", "note = note").await.expect("a page");
    let (rest, _) = page(&built, 2, &token, "note = note").await.expect("the rest");
    assert_eq!((first, rest), (vec!["d".to_owned(), "b".to_owned()], vec!["a".to_owned()]));
    cluster.restart().await;
    let built = Built::last();
    create(&built, "e", "note").await;
    until_all_are_merged(&cluster, 5).await;
    assert_eq!(page(&built, 0, "", "note = note").await.expect("a page").0, ["e", "d", "b", "a"]);
    assert_eq!(page(&built, 0, "", "note = other").await.expect("a page").0, ["c"]);
    cluster.finish().await;
}

#[tokio::test]
async fn an_old_token_with_another_filter_is_refused() {
    let (cluster, built) = counting_cluster().await;
    for index in 0..3 {
        create(&built, &format!("row-{index}"), "note").await;
    }
    let (_, token) = page(&built, 1, "", "note = note").await.expect("a page");
    assert_eq!(page(&built, 2, &token, "note = note").await.expect("the rest").0, ["row-1", "row-0"]);
    for (token, filter) in [
        (token.clone(), ""),
        (token.clone(), "note = other"),
        (format!("{token}0"), "note = note"),
        (token[1..].to_owned(), "note = note"),
    ] {
        let error = page(&built, 1, &token, filter).await.expect_err("another list's token");
        let fields: Vec<_> = error.violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!((error.code, fields), (Code::InvalidArgument, vec!["page_token"]));
    }
    cluster.finish().await;
}
