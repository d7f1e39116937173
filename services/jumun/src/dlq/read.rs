//! Reads dead letters.

use contracts::admin::v1::{DeadLetter, GetDeadLetterRequest, ListDeadLettersRequest};

use super::filter::Filter;
use crate::operator::{AdminClient, PAGE_SIZE, explain};

/// The dead letters that match, at most `limit`.
pub(super) async fn matching(
    admin: &mut AdminClient,
    filter: &Filter,
    limit: usize,
) -> anyhow::Result<Vec<DeadLetter>> {
    let (mut letters, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListDeadLettersRequest { page_size: PAGE_SIZE, page_token };
        let page = admin.list_dead_letters(request).await.map_err(|status| explain(&status))?.into_inner();
        letters.extend(page.dead_letters.into_iter().filter(|letter| filter.matches(letter)));
        page_token = page.next_page_token;
        if page_token.is_empty() || letters.len() >= limit {
            letters.truncate(limit);
            return Ok(letters);
        }
    }
}

/// The dead letter with this name.
pub(super) async fn get(admin: &mut AdminClient, name: &str) -> anyhow::Result<DeadLetter> {
    let answer = admin.get_dead_letter(GetDeadLetterRequest { name: name.to_owned() }).await;
    Ok(answer.map_err(|status| explain(&status))?.into_inner())
}
