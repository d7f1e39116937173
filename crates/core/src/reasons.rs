//! The reasons that all contexts share.

crate::reasons! {
    INVALID_ARGUMENT: InvalidArgument,
        "Fields of the request are invalid; BadRequest lists each of them.",
        "Correct the fields.";
    UNREADABLE_REQUEST: InvalidArgument,
        "The bytes are not a valid encoding of the request message, or violate the protocol.",
        "Generate the client from the current protos.";
    MESSAGE_TOO_LARGE: OutOfRange,
        "The request message exceeds the size limit.",
        "Send a smaller request.";
    METHOD_NOT_ALLOWED: InvalidArgument,
        "The path does not support this HTTP method (405).",
        "Use a method from the `Allow` header.";
    TARGET_TOO_LONG: InvalidArgument,
        "The path and query of the HTTP request exceed the length limit (414).",
        "Request less at once.";
    BODY_TOO_LARGE: InvalidArgument,
        "The body of the HTTP request exceeds the size limit (413).",
        "Send a smaller body.";
    BODY_BROKEN: InvalidArgument,
        "The body of the HTTP request ended before it was complete.",
        "Send the complete body.";
    BODY_TOO_SLOW: InvalidArgument,
        "The body of the HTTP request did not arrive in time (408).",
        "Send the body without pauses.";
    UNSUPPORTED_MEDIA_TYPE: InvalidArgument,
        "The body of the HTTP request is not JSON, or is compressed (415).",
        "Send uncompressed `application/json`.";
    METHOD_UNKNOWN: Unimplemented,
        "There is no such method at this address, or the compression is not supported.",
        "Check the path and the address; server reflection lists the methods.";
    NOT_FOUND: NotFound,
        "No resource has this name, or the caller may not see it.",
        "Check the name; the list methods return what the caller may see.";
    TOKEN_MISSING: Unauthenticated,
        "The request has no bearer token.",
        "Send `authorization: Bearer …` with a token of the platform's issuer.";
    TOKEN_EXPIRED: Unauthenticated,
        "The token has expired.",
        "Get a new token.";
    TOKEN_INVALID: Unauthenticated,
        "The token is rejected for its signature, issuer, audience, validity period or format; the message says which.",
        "Get a token for this platform from its issuer.";
    TOKEN_KEYS_UNAVAILABLE: Unavailable retry 2000 ms,
        "The keys that verify tokens have not been loaded yet; nothing changed.",
        "Repeat the request.";
    ROLE_MISSING: PermissionDenied,
        "The token has none of the roles that may call this method.",
        "Use a token with one of the roles that the method declares in its proto.";
    NOT_YOURS: PermissionDenied,
        "The request would create or change a resource of another principal.",
        "Act on your own resources, or use a token of their owner.";
    REQUEST_ID_REUSED: FailedPrecondition,
        "The `request_id` was already used with different parameters; nothing changed.",
        "Use a new `request_id` for a new request.";
    DONE_OTHERWISE: FailedPrecondition,
        "Already performed with different parameters, e.g. another quantity; nothing changed.",
        "Repeat the request with the original parameters, or make a request with another name.";
    TAKEN_BACK: FailedPrecondition,
        "The reservation was already released, and can never be made again.",
        "Make a new reservation with another name.";
    UNREADABLE_EVENT: FailedPrecondition,
        "An event is malformed or lacks a required field. It becomes a dead letter; clients never receive this reason.",
        "Fix the consumer or the producer, then redrive the dead letter.";
    CONCURRENT_CHANGE: Aborted retry 100 ms,
        "Another request changed the same resource at the same time; nothing changed.",
        "Repeat the request.";
    DEADLINE_EXCEEDED: DeadlineExceeded retry 1000 ms,
        "The deadline passed; the request may or may not have been performed.",
        "Repeat the same request with the same `request_id`, or allow it more time.";
    EARLIER_EVENT_MISSING: Unavailable retry 200 ms,
        "An event arrived before its predecessor; clients never receive this reason.",
        "Nothing: the bus redelivers the event.";
    STORAGE_UNAVAILABLE: Unavailable retry 1000 ms,
        "The database does not respond; the request may or may not have been performed.",
        "Repeat the same request with the same `request_id`.";
    STORAGE_BUSY: Unavailable retry 1000 ms,
        "The database is temporarily locked, read-only or full, or a statement timed out; nothing changed.",
        "Repeat the same request with the same `request_id`.";
    STOPPING: Unavailable retry 1000 ms,
        "The process is stopping; nothing changed.",
        "Repeat the request; another process serves it.";
    QUEUE_FULL: ResourceExhausted retry 200 ms,
        "Too many requests for the same type of resource are queued; nothing changed.",
        "Repeat the request later, and send fewer requests.";
    OVERLOADED: ResourceExhausted retry 1000 ms,
        "The adaptive concurrency limit of this method is exceeded; nothing changed.",
        "Repeat the request after the delay in RetryInfo, and send fewer requests.";
    CATCHING_UP: ResourceExhausted retry 1000 ms,
        "Events of earlier requests have waited for too long to be applied; nothing changed.",
        "Repeat the request after the delay in RetryInfo, and send fewer requests.";
    PROVIDER_BUSY: ResourceExhausted retry 1000 ms,
        "Too many calls to the external provider `provider` are waiting; it was not called.",
        "Repeat the same request later, and send fewer requests.";
    CIRCUIT_OPEN: Unavailable retry 2000 ms,
        "The circuit breaker is open: too many calls to `callee` were not answered, so it was not called.",
        "Repeat the request after the delay in RetryInfo.";
    STREAM_EXPIRED: Unavailable retry 500 ms,
        "The stream reached its maximum duration.",
        "Open it again.";
    TOO_MANY_WATCHERS: ResourceExhausted retry 1000 ms,
        "The maximum number of concurrent watch streams is reached.",
        "Watch later, or call the get method instead.";
    DRILLS_OFF: FailedPrecondition,
        "Fault injection is disabled in this process.",
        "Start the process with `--drills` (`JUMUN_DRILLS=true`), which a production process rejects.";
    TOO_MANY_FAULTS: FailedPrecondition,
        "The process has the maximum number of injected faults.",
        "Clear some faults.";
    DRILL_FAULT: Unavailable retry 500 ms,
        "An operator injected this fault for a drill; nothing changed. The code is the one that the operator chose.",
        "Handle it like any failure with this code; the operator clears it.";
    INTERNAL: Internal,
        "An unexpected failure of the platform, which is written to the log.",
        "Report it, with the time and the trace id.";
}
