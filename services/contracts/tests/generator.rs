//! The generator of checks and event kinds: how it describes rules, and which protos it rejects.

#[path = "../build/checks.rs"]
mod checks;
#[path = "../build/events.rs"]
mod events;
#[path = "../build/rules.rs"]
mod rules;
#[path = "../build/wording.rs"]
mod wording;

/// Generates the checks of a service whose request has these fields.
fn generate(fields: &str, rest: &str) -> Result<String, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let proto = format!(
        r#"syntax = "proto3";
        package jumun.sample.v1;
        import "buf/validate/validate.proto";
        import "google/api/field_behavior.proto";
        service Samples {{ rpc Take(TakeRequest) returns (Taken); }}
        message TakeRequest {{ {fields} }}
        message Taken {{ string note = 1; }}
        {rest}"#
    );
    std::fs::write(folder.path().join("sample.proto"), proto).expect("a file");
    let mut compiler = protox::Compiler::new([folder.path(), "../../proto".as_ref()]).expect("a compiler");
    compiler.include_imports(true).open_file("sample.proto").expect("a valid proto");
    checks::generate(&compiler.descriptor_pool())
}

#[test]
fn an_unknown_rule_fails_the_build_with_the_fields_name() {
    for (field, rule) in [
        ("string a = 1 [(buf.validate.field).string.email = true];", "string.email"),
        ("string a = 1 [(buf.validate.field).string.prefix = \"x\"];", "string.prefix"),
        ("int32 a = 1 [(buf.validate.field).int32.lt = 3];", "int32.lt"),
        ("bool a = 1 [(buf.validate.field).bool.const = true];", "bool"),
        ("uint32 a = 1 [(buf.validate.field).uint32.gte = 1];", "uint32"),
        ("repeated string a = 1 [(buf.validate.field).repeated.unique = true];", "repeated.unique"),
        ("string a = 1 [(buf.validate.field).ignore = IGNORE_ALWAYS];", "ignore"),
        ("string a = 1 [(buf.validate.field).cel = {id: \"a\" expression: \"true\"}];", "cel"),
    ] {
        let refusal = generate(field, "").expect_err(field);
        assert!(refusal.contains("jumun.sample.v1.TakeRequest.a"), "{refusal}");
        assert!(refusal.contains(&format!("the rule {rule} is not supported")), "{refusal}");
    }
    let whole = "option (buf.validate.message).cel = {id: \"a\" expression: \"true\"};";
    assert!(generate(whole, "").is_err());
    let oneof = "oneof a { option (buf.validate.oneof).required = true; string b = 1; }";
    assert!(generate(oneof, "").is_err());
}

#[test]
fn a_rule_that_would_not_be_enforced_fails_the_build() {
    for (field, rest, why) in [
        ("string a = 1 [(google.api.field_behavior) = REQUIRED];", "", "no rule enforces it"),
        ("repeated string a = 1;", "", "needs repeated.max_items"),
        ("map<string, string> a = 1;", "", "needs repeated.max_items"),
        ("oneof o { string a = 1 [(buf.validate.field).string.max_bytes = 1]; }", "", "part of a oneof"),
        ("oneof o { TakeRequest a = 1; }", "", "part of a oneof"),
        ("string a = 1 [(buf.validate.field).int32.gte = 1];", "", "rules for another type"),
        ("string a = 1 [(buf.validate.field).repeated.max_items = 1];", "", "without effect on this kind of field"),
        (
            "repeated string a = 1 [(buf.validate.field) = {required: true repeated: {max_items: 1}}];",
            "",
            "without effect",
        ),
        ("optional string a = 1 [(buf.validate.field).ignore = IGNORE_IF_ZERO_VALUE];", "", "without effect"),
        (
            "",
            "message Whole { option (buf.validate.message).oneof = {fields: [\"a\"]}; string a = 1; }",
            "whole message",
        ),
        ("string a = 1 [(buf.validate.field).string.pattern = \"(\"];", "", "has an invalid pattern"),
        ("", "message Other { string a = 1 [(buf.validate.field).string.max_bytes = 1]; }", "is not part of a request"),
        (
            "string a = 1 [(google.api.field_behavior) = OUTPUT_ONLY, (buf.validate.field).string.max_bytes = 1];",
            "",
            "is not part of a request",
        ),
        ("", "service Others { rpc Turn(Taken) returns (TakeRequest); }", "is a request and a response"),
    ] {
        let refusal = generate(field, rest).expect_err(why);
        assert!(refusal.contains(why), "{refusal}");
    }
}

#[test]
fn a_rule_is_described_in_english() {
    for (pattern, description) in [
        (
            "^orders/[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
            "must be orders/{id}, where id is 1 to 63 of a-z, 0-9 and -, and begins and ends with a letter or digit",
        ),
        (
            "^[A-Za-z]+s/[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
            "must be {collection}/{id}, where id is 1 to 63 of a-z, 0-9 and -, and begins and ends with a letter or digit",
        ),
        ("^[A-Za-z0-9._-]{1,64}$", "must be 1 to 64 of A-Z a-z 0-9 . _ -"),
        ("^[A-Za-z][A-Za-z0-9_-]{0,63}$", "must be 1 of A-Z a-z and then 0 to 63 of A-Z a-z 0-9 _ -"),
        (r"^[^\x00-\x1f\x7f-\x9f]*$", "must not contain control characters"),
        ("^a|b$", "must match ^a|b$"),
        ("^[^a]$", "must match ^[^a]$"),
    ] {
        assert_eq!(wording::pattern(pattern), description);
    }
    let orders = ["", "create_time", "create_time desc"].map(str::to_owned);
    assert_eq!(wording::choice(&orders), "must be create_time or create_time desc");
    assert_eq!(wording::number((Some(1), Some(1000))), "must be 1 to 1000");
    assert_eq!(wording::number((Some(0), None)), "must not be negative");
    assert_eq!(wording::number((None, Some(7))), "must be at most 7");
}

#[test]
fn fields_without_rules_cost_nothing() {
    let code =
        generate("string a = 1; int64 b = 2; optional string c = 3; oneof d { string e = 4; }", "").expect("generated");
    assert!(code.contains("fn check(&self, _: &Path<'_>, _: &mut Vec<Violation>) {\n}"), "{code}");
}

#[test]
fn an_event_without_kinds_fails_the_build() {
    for (message, why) in [
        ("message SampleEvent { string sample = 1; }", "jumun.sample.v1.SampleEvent has no oneof `kind`"),
        (
            "message SampleEvent { oneof kind { string made = 1; } }",
            "jumun.sample.v1.SampleEvent.made is not a message",
        ),
        ("message Sample {}", "sample_event.proto declares no message named …Event"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let proto = format!("syntax = \"proto3\"; package jumun.sample.v1; {message}");
        std::fs::write(folder.path().join("sample_event.proto"), proto).expect("a file");
        let mut compiler = protox::Compiler::new([folder.path()]).expect("a compiler");
        compiler.open_file("sample_event.proto").expect("a valid proto");
        assert_eq!(events::generate(&compiler.descriptor_pool()), Err(why.to_owned()));
    }
}
