//! The platform's own reasons, which every context shares.

crate::reasons! {
    INVALID_ARGUMENT: InvalidArgument,
        "Fields of the request are wrong; BadRequest names each of them.",
        "Correct the fields.";
    UNREADABLE_REQUEST: InvalidArgument,
        "The bytes are not the request's message, or break the protocol.",
        "Build the client from the present protos.";
    MESSAGE_TOO_LARGE: OutOfRange,
        "The request is larger than a request may be.",
        "Send less.";
    METHOD_NOT_ALLOWED: InvalidArgument,
        "The path is for other HTTP methods (405).",
        "Use one that the `Allow` header names.";
    TARGET_TOO_LONG: InvalidArgument,
        "The path and query of the HTTP request are longer than they may be (414).",
        "Ask for less at once.";
    BODY_TOO_LARGE: InvalidArgument,
        "The body of the HTTP request is larger than it may be (413).",
        "Send less.";
    BODY_BROKEN: InvalidArgument,
        "The body of the HTTP request broke off.",
        "Send it whole.";
    BODY_TOO_SLOW: InvalidArgument,
        "The body of the HTTP request did not arrive in time (408).",
        "Send it at once.";
    UNSUPPORTED_MEDIA_TYPE: InvalidArgument,
        "The body of the HTTP request is not JSON, or is compressed (415).",
        "Send `application/json`, as it is.";
    METHOD_UNKNOWN: Unimplemented,
        "There is no such method here, or the compression is not one that is read.",
        "Check the path and the address; ask reflection what there is.";
    NOT_FOUND: NotFound,
        "Nothing has this name, or nothing that the caller may see.",
        "Check the name; lists show what there is.";
    TOKEN_MISSING: Unauthenticated,
        "The request shows no token.",
        "Send `authorization: Bearer …` with a token of the platform's issuer.";
    TOKEN_EXPIRED: Unauthenticated,
        "The token has expired.",
        "Get a new token.";
    TOKEN_INVALID: Unauthenticated,
        "The token is not one that is taken: its signature, its issuer, its audience, its times or its form; the message says which.",
        "Get a token from the platform's issuer, for the platform.";
    TOKEN_KEYS_UNAVAILABLE: Unavailable retry 2000 ms,
        "The keys that tokens are verified by have not been read yet; nothing was done.",
        "Repeat the request.";
    ROLE_MISSING: PermissionDenied,
        "The token's roles do not allow this method.",
        "Use a token of a role that does; the contract of the method names them.";
    NOT_YOURS: PermissionDenied,
        "What the request would make belongs to somebody else than its caller.",
        "Ask for yourself, or with a token of whom it is for.";
    REQUEST_ID_REUSED: FailedPrecondition,
        "The `request_id` came before with another body.",
        "Use a new `request_id` for another request.";
    DONE_OTHERWISE: FailedPrecondition,
        "What happens once happened before, with another body, e.g. another quantity; nothing was done now.",
        "Ask for what was done, or for something else.";
    TAKEN_BACK: FailedPrecondition,
        "What is asked for was taken back before; it never happens any more.",
        "Begin anew, under another name.";
    UNREADABLE_EVENT: FailedPrecondition,
        "An event does not say what it must. It becomes a dead letter; no caller sees this.",
        "Mend the consumer or the producer, then redrive the dead letter.";
    CONCURRENT_CHANGE: Aborted retry 100 ms,
        "Somebody else changed the same thing at the same time; nothing was done.",
        "Repeat the request.";
    DEADLINE_EXCEEDED: DeadlineExceeded retry 1000 ms,
        "Time ran out; it may have happened or not.",
        "Repeat the same request, with the same `request_id`, or allow it more time.";
    EARLIER_EVENT_MISSING: Unavailable retry 200 ms,
        "An event came before the one that it follows; no caller sees this.",
        "Nothing: the bus delivers it again.";
    STORAGE_UNAVAILABLE: Unavailable retry 1000 ms,
        "The database does not answer; it may have happened or not.",
        "Repeat the same request, with the same `request_id`.";
    STORAGE_BUSY: Unavailable retry 1000 ms,
        "The database refuses for a while: it is locked, read-only or full, or took too long; nothing was done.",
        "Repeat the same request, with the same `request_id`.";
    STOPPING: Unavailable retry 1000 ms,
        "The process is stopping; nothing was done.",
        "Repeat the request; another process takes it.";
    QUEUE_FULL: ResourceExhausted retry 200 ms,
        "Too many requests are waiting for the same kind of thing; nothing was done.",
        "Repeat the request later, and less often.";
    OVERLOADED: ResourceExhausted retry 1000 ms,
        "More calls of this method are under way than go well; nothing was done.",
        "Repeat the request when RetryInfo says, and less often.";
    PROVIDER_BUSY: ResourceExhausted retry 1000 ms,
        "Too many calls to somebody outside are waiting; nothing was asked of `provider`.",
        "Repeat the same request later, and less often.";
    CIRCUIT_OPEN: Unavailable retry 2000 ms,
        "Too many calls to `callee` were not answered, so it was not asked.",
        "Repeat the request when RetryInfo says.";
    STREAM_EXPIRED: Unavailable retry 500 ms,
        "The stream went on for as long as one may.",
        "Open it again.";
    TOO_MANY_WATCHERS: ResourceExhausted retry 1000 ms,
        "Too many callers are watching.",
        "Watch later, or read instead.";
    DRILLS_OFF: FailedPrecondition,
        "Faults are for drills, and this process was not started for any.",
        "Start it with `--drills` (`JUMUN_DRILLS=true`); a production process refuses to.";
    TOO_MANY_FAULTS: FailedPrecondition,
        "The process has as many faults as it may have.",
        "Clear some.";
    DRILL_FAULT: Unavailable retry 500 ms,
        "A fault that an operator set for a drill; nothing was done. The code is the one that was set.",
        "Do as with any fault of this code; the operator clears it.";
    INTERNAL: Internal,
        "A fault of ours, written to the log.",
        "Report it, with the time and the trace.";
}
