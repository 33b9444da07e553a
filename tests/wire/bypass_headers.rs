//! Headers by which somebody, somewhere, got past a check: each family of names with each of its
//! values. `{key}` is a good key, `{other}` the id of another caller's.

type Family = (&'static [&'static str], &'static [&'static str]);

const METHODS: Family = (
    &[
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "x-method",
        "x-original-method",
        "x-forwarded-method",
        "x-rewrite-method",
        "_method",
    ],
    &["GET", "HEAD", "OPTIONS", "POST", "TRACE", "CONNECT"],
);

const URLS: Family = (
    &[
        "x-original-url",
        "x-original-uri",
        "x-original-path",
        "x-rewrite-url",
        "x-rewrite-uri",
        "x-override-url",
        "x-forwarded-url",
        "x-forwarded-uri",
        "x-forwarded-path",
        "x-forwarded-prefix",
        "x-envoy-original-path",
        "x-accel-redirect",
        "x-sendfile",
        "x-proxy-url",
        "x-request-uri",
        "x-script-name",
        "x-matched-path",
        "request-uri",
        "base-url",
        "uri",
    ],
    &[
        "/public",
        "/",
        "/health",
        "/private/../public",
        "http://localhost/public",
    ],
);

const ADDRESSES: Family = (
    &[
        "x-forwarded-for",
        "x-forwarded",
        "x-real-ip",
        "x-client-ip",
        "client-ip",
        "true-client-ip",
        "cf-connecting-ip",
        "fastly-client-ip",
        "x-azure-clientip",
        "x-appengine-user-ip",
        "x-envoy-external-address",
        "x-cluster-client-ip",
        "x-remote-ip",
        "x-remote-addr",
        "x-originating-ip",
        "x-proxyuser-ip",
        "x-custom-ip-authorization",
        "forwarded-for",
    ],
    &[
        "127.0.0.1",
        "::1",
        "192.0.2.7",
        "192.0.2.7, 127.0.0.1",
        "127.0.0.1, 192.0.2.7",
        "localhost",
    ],
);

const FORWARDED: Family = (
    &["forwarded"],
    &[
        "for=127.0.0.1",
        "for=192.0.2.7",
        "for=\"[::1]\";proto=https",
        "for=192.0.2.7, for=127.0.0.1",
        "by=127.0.0.1;host=localhost",
    ],
);

const HOSTS: Family = (
    &[
        "host",
        "x-host",
        "x-forwarded-host",
        "x-forwarded-server",
        "x-original-host",
        "x-http-host-override",
    ],
    &["localhost", "127.0.0.1", "admin.gate.test", "gate.test:443"],
);

const SCHEMES: Family = (
    &[
        "x-forwarded-proto",
        "x-forwarded-protocol",
        "x-forwarded-scheme",
        "x-forwarded-ssl",
        "x-forwarded-port",
        "x-url-scheme",
        "front-end-https",
    ],
    &["https", "http", "on", "443"],
);

const IDENTITIES: Family = (
    &[
        "x-forwarded-user",
        "x-forwarded-email",
        "x-forwarded-preferred-username",
        "x-forwarded-groups",
        "x-forwarded-client-cert",
        "x-remote-user",
        "remote-user",
        "x-user",
        "x-user-id",
        "x-username",
        "x-auth-user",
        "x-auth-request-user",
        "x-auth-request-email",
        "x-authenticated-user",
        "x-authenticated-userid",
        "x-api-consumer",
        "x-consumer-id",
        "x-consumer-username",
        "x-credential-identifier",
        "x-webauth-user",
        "x-amzn-oidc-identity",
        "x-goog-authenticated-user-email",
        "x-ms-client-principal-name",
        "x-tenant-id",
        "x-owner",
        "x-roles",
        "x-scopes",
        "x-key-id",
    ],
    &["admin", "*", "{other}"],
);

const SWITCHES: Family = (
    &[
        "x-internal",
        "x-internal-request",
        "x-debug",
        "x-test",
        "x-bypass",
        "x-auth-bypass",
        "x-skip-auth",
        "x-no-auth",
        "x-admin",
        "x-is-admin",
        "x-trusted",
        "x-verified",
        "x-authenticated",
        "x-anonymous",
        "x-public",
        "x-preflight",
        "x-health-check",
    ],
    &["true", "1", "yes"],
);

const SUBREQUESTS: [Family; 2] = [
    (
        &["x-middleware-subrequest"],
        &[
            "middleware",
            "src/middleware",
            "pages/_middleware",
            "middleware:middleware:middleware:middleware:middleware",
            "src/middleware:src/middleware:src/middleware:src/middleware:src/middleware",
        ],
    ),
    (
        &[
            "x-middleware-next",
            "x-middleware-invoke",
            "x-middleware-prefetch",
            "x-middleware-rewrite",
            "x-middleware-override-headers",
            "x-nextjs-data",
        ],
        &["1", "authorization", "/public"],
    ),
];

/// Headers that a proxy takes away, and by which it can be told to take away others.
const HOP_BY_HOP: [Family; 4] = [
    (
        &["connection", "proxy-connection"],
        &[
            "authorization",
            "close, authorization",
            "keep-alive, x-forwarded-for",
            "authorization, cookie, x-api-key",
        ],
    ),
    (&["upgrade"], &["websocket", "h2c", "TLS/1.0"]),
    (&["te", "trailer"], &["trailers", "authorization"]),
    (&["keep-alive"], &["timeout=5"]),
];

/// Places for a key that nobody told the gate to look at.
const CREDENTIALS: [Family; 2] = [
    (
        &[
            "proxy-authorization",
            "x-authorization",
            "x-forwarded-authorization",
            "x-original-authorization",
            "x-forwarded-access-token",
            "x-amzn-oidc-accesstoken",
            "x-amz-security-token",
            "x-api-key",
            "x-api-token",
            "x-goog-api-key",
            "x-functions-key",
            "ocp-apim-subscription-key",
            "api-key",
            "apikey",
            "x-auth",
            "x-auth-key",
            "x-auth-token",
            "x-access-token",
            "x-session-token",
            "x-vault-token",
            "x-gitlab-token",
            "x-csrf-token",
            "x-token",
            "private-token",
            "access-token",
            "token",
            "authentication",
            "authorization-bearer",
            "www-authenticate",
            "sec-websocket-protocol",
        ],
        &["{key}", "Bearer {key}", "bearer, {key}"],
    ),
    (
        &["cookie"],
        &[
            "authorization=Bearer {key}",
            "token={key}",
            "session=admin; admin=true",
            "access_token={key}; api_key={key}",
        ],
    ),
];

/// Who asks, and what for: a check that lets probes, previews or cached copies pass.
const CIRCUMSTANCES: [Family; 7] = [
    (&["via", "expect"], &["1.1 localhost"]),
    (
        &["user-agent"],
        &[
            "kube-probe/1.30",
            "ELB-HealthChecker/2.0",
            "GoogleHC/1.0",
            "Googlebot/2.1",
            "Blackbox Exporter/0.25",
        ],
    ),
    (
        &["origin", "referer"],
        &[
            "null",
            "https://gate.test",
            "https://gate.test/admin",
            "http://localhost",
        ],
    ),
    (
        &["sec-fetch-site", "sec-fetch-mode", "purpose", "sec-purpose"],
        &["same-origin", "none", "cors", "prefetch"],
    ),
    (
        &[
            "if-none-match",
            "if-match",
            "if-modified-since",
            "range",
            "cache-control",
        ],
        &[
            "*",
            "Thu, 01 Jan 1970 00:00:00 GMT",
            "bytes=0-0",
            "only-if-cached",
        ],
    ),
    (
        &["content-type", "accept"],
        &[
            "application/grpc",
            "application/grpc-web+proto",
            "text/html",
        ],
    ),
    (
        &[
            "access-control-request-method",
            "access-control-request-headers",
        ],
        &["GET", "authorization"],
    ),
];

/// Names and values.
pub(crate) fn lines() -> impl Iterator<Item = (&'static str, &'static str)> {
    [
        METHODS, URLS, ADDRESSES, FORWARDED, HOSTS, SCHEMES, IDENTITIES, SWITCHES,
    ]
    .into_iter()
    .chain(SUBREQUESTS)
    .chain(HOP_BY_HOP)
    .chain(CREDENTIALS)
    .chain(CIRCUMSTANCES)
    .flat_map(|(names, values)| {
        let of = move |name: &&'static str| {
            let name = *name;
            values.iter().map(move |value| (name, *value))
        };
        names.iter().flat_map(of)
    })
}
