//! The catalogue of errors, as a page: what docs/reference/errors.md says.

use std::fmt::Write;

use client::code_name;
use jumun_core::{Class, Reason, reasons};

use crate::contexts;

const INTRODUCTION: &str = "\
# Errors

Every error carries `google.rpc.ErrorInfo` with the domain `jumun.dev` and one of these reasons. Switch on the reason;
the message is for people and may change. The code alone tells what kind of error it is:

| kind | what it is | codes | what to do |
|---|---|---|---|
| refusal | the business says no | FAILED_PRECONDITION | Tell the person. It is no fault, and repeating changes nothing. |
| fault | something did not work | UNAVAILABLE, RESOURCE_EXHAUSTED, ABORTED, DEADLINE_EXCEEDED, INTERNAL | Repeat as `google.rpc.RetryInfo` says; INTERNAL has none: report it. |
| call | the call is wrong | all others | Mend the caller. With INVALID_ARGUMENT, `google.rpc.BadRequest` names every wrong field. |

Some errors say more in ErrorInfo's metadata, e.g. the `order` or the `state`. This page is printed by `jumun errors`.
";

/// The whole page.
pub(crate) fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    table(&mut page, "Every context", reasons::ALL);
    table(&mut page, "Whatever is paid for", payment_saga::reasons::ALL);
    for context in contexts::all() {
        table(&mut page, context.name, context.reasons);
    }
    page
}

fn table(page: &mut String, title: &str, reasons: &[&Reason]) {
    let _ = write!(
        page,
        "\n## {title}\n\n| reason | code | kind | when | what to do | RetryInfo |\n|---|---|---|---|---|---|\n"
    );
    for reason in reasons {
        let retry = reason.retry_after.map(|after| format!("{after:?}")).unwrap_or_default();
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {retry} |",
            reason.name,
            code_name(reason.code),
            kind(reason.class()),
            reason.when,
            reason.advice
        );
    }
}

fn kind(class: Class) -> &'static str {
    match class {
        Class::Refusal => "refusal",
        Class::Fault => "fault",
        Class::Call => "call",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_reason_means_one_thing() {
        let mut owners = BTreeMap::new();
        let contexts = contexts::all();
        let shared = [("every context", reasons::ALL), ("whatever is paid for", payment_saga::reasons::ALL)];
        let all = contexts.iter().map(|context| (context.name, context.reasons)).chain(shared);
        for (owner, reason) in all.flat_map(|(owner, reasons)| reasons.iter().map(move |reason| (owner, reason))) {
            let before = owners.insert(reason.name, owner);
            assert_eq!(before, None, "{} is a reason of {owner}, too", reason.name);
            assert!(
                reason.when.ends_with('.') && reason.advice.ends_with('.'),
                "{} is not said in sentences",
                reason.name
            );
        }
    }
}
