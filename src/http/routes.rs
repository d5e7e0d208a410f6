//! Which path and method leads to which handler, and what it takes to come in.

use actix_cors::Cors;
use actix_web::dev::{AppService, HttpServiceFactory, ResourceDef};
use actix_web::guard::{Guard as ActixGuard, GuardContext, fn_guard};
use actix_web::http::{Method, header};
use actix_web::middleware::Condition;
use actix_web::{HttpRequest, Resource, Route, web};

use super::access::{Guard, Rule};
use super::observe::Observe;
use super::problem::{Code, Problem};
use super::{
    Api, changes, clients, dashboard, example, extract, openapi, push, quota, records, repair, retention, spaces,
    stats, status, tokens,
};

const CHANGES: &str = "/v1/spaces/{space}/changes";

/// All routes, for a worker's application.
pub fn routes(api: &web::Data<Api>, config: &mut web::ServiceConfig) {
    config.app_data(api.clone()).service(Pulls { api: api.clone() });
    let at = |path| Path::new(path, api);
    at(CHANGES).get(Rule::READ, web::to(changes::changes)).add(config);
    at("/v1/spaces/{space}/push").post(Rule::WRITE, web::to(push::push)).add(config);
    at("/v1/spaces/{space}/records/{collection}/{id}")
        .get(Rule::READ, web::to(records::read))
        .put(Rule::WRITE, web::to(records::replace))
        .patch(Rule::WRITE, web::to(records::merge))
        .delete(Rule::WRITE, web::to(records::delete))
        .add(config);
    at("/v1/spaces/{space}/records/{collection}")
        .get(Rule::READ, web::to(records::list))
        .post(Rule::WRITE, web::to(records::create))
        .add(config);
    at("/v1/spaces/{space}/manifest").get(Rule::READ, web::to(repair::manifest)).add(config);
    at("/v1/spaces/{space}/fetch").post(Rule::READ, web::to(repair::fetch)).add(config);
    at("/v1/spaces/{space}/quota")
        .get(Rule::READ, web::to(quota::read))
        .put(Rule::ADMIN.audited("quota.configure"), web::to(quota::configure))
        .add(config);
    at("/v1/spaces/{space}/retention")
        .get(Rule::READ, web::to(retention::read))
        .put(Rule::ADMIN.audited("retention.configure"), web::to(retention::configure))
        .add(config);
    at("/v1/spaces/{space}/retention/plan").get(Rule::ADMIN, web::to(retention::plan)).add(config);
    at("/v1/spaces/{space}/retention/state").get(Rule::ADMIN, web::to(retention::state)).add(config);
    at("/v1/spaces/{space}/clients").get(Rule::ADMIN, web::to(clients::list)).add(config);
    at("/v1/spaces/{space}/clients/{client}")
        .delete(Rule::ADMIN.audited("client.forget"), web::to(clients::forget))
        .add(config);
    at("/v1/spaces/{space}/stats").get(Rule::ADMIN, web::to(stats::read)).add(config);
    at("/v1/spaces/{space}/compact")
        .post(Rule::ADMIN.audited("space.compact"), web::to(retention::compact))
        .add(config);
    at("/v1/spaces/{space}")
        .get(Rule::READ, web::to(spaces::read))
        .put(Rule::ADMIN.audited("space.configure"), web::to(spaces::configure))
        .delete(Rule::ADMIN.audited("space.delete"), web::to(spaces::delete))
        .add(config);
    at("/v1/spaces").get(Rule::SIGNED_IN, web::to(spaces::list)).add(config);
    at("/v1/tokens")
        .get(Rule::ANY_ADMIN, web::to(tokens::list))
        .post(Rule::ANY_ADMIN.audited("token.create"), web::to(tokens::create))
        .add(config);
    at("/v1/tokens/{token_id}").delete(Rule::ANY_ADMIN.audited("token.revoke"), web::to(tokens::revoke)).add(config);
    at("/openapi.json").get(Rule::PUBLIC, web::to(openapi::serve)).add(config);
    at("/healthz").get(Rule::PUBLIC, web::to(status::alive)).add(config);
    at("/readyz").get(Rule::PUBLIC, web::to(status::ready)).add(config);
    at("/metrics").get(Rule::EVERYTHING, web::to(status::metrics)).add(config);
    at("/").get(Rule::PUBLIC, web::to(dashboard::page)).add(config);
    at("/session").post(Rule::PUBLIC, web::to(dashboard::begin_session)).add(config);
    at("/session/end").post(Rule::PUBLIC, web::to(dashboard::end_session)).add(config);
    at("/dashboard/app.js").get(Rule::PUBLIC, web::to(dashboard::script)).add(config);
    at("/dashboard/app.css").get(Rule::PUBLIC, web::to(dashboard::style)).add(config);
    at("/dashboard/events").get(Rule::SIGNED_IN, web::to(dashboard::events)).add(config);
    if api.example {
        at(example::PATH).get(Rule::PUBLIC, web::to(example::page)).add(config);
        at("/example/strandline.js").get(Rule::PUBLIC, web::to(example::script)).add(config);
        at("/example").get(Rule::PUBLIC, web::to(example::redirect)).add(config);
    }
    // All other paths are one route to the metrics: there is no end to them.
    let unknown = web::to(unknown).wrap(Guard::new("unknown", Vec::new(), api)).wrap(Observe::new("unknown", api));
    config.default_service(unknown);
}

/// A path with its methods, each of which has a rule: there is no other way to make a route.
struct Path<'a> {
    pattern: &'static str,
    api: &'a web::Data<Api>,
    resource: Resource,
    rules: Vec<(Method, Rule)>,
}

impl<'a> Path<'a> {
    fn new(pattern: &'static str, api: &'a web::Data<Api>) -> Self {
        Self { pattern, api, resource: web::resource(pattern), rules: Vec::new() }
    }

    /// GET, and HEAD with it.
    fn get(self, rule: Rule, route: Route) -> Self {
        self.on(&[Method::GET, Method::HEAD], rule, route)
    }

    fn put(self, rule: Rule, route: Route) -> Self {
        self.on(&[Method::PUT], rule, route)
    }

    fn post(self, rule: Rule, route: Route) -> Self {
        self.on(&[Method::POST], rule, route)
    }

    fn patch(self, rule: Rule, route: Route) -> Self {
        self.on(&[Method::PATCH], rule, route)
    }

    fn delete(self, rule: Rule, route: Route) -> Self {
        self.on(&[Method::DELETE], rule, route)
    }

    fn on(mut self, methods: &'static [Method], rule: Rule, route: Route) -> Self {
        self.resource = self.resource.route(route.guard(fn_guard(|context| methods.contains(&context.head().method))));
        self.rules.extend(methods.iter().map(|method| (method.clone(), rule)));
        self
    }

    /// Adds the path; other methods are refused with the names of these.
    fn add(self, config: &mut web::ServiceConfig) {
        let names: Vec<&str> = self.rules.iter().map(|(method, _)| method.as_str()).collect();
        let allow = names.join(", ");
        let refuse = move || {
            let problem = Problem::method_not_allowed(&allow);
            async move { Err::<&str, _>(problem) }
        };
        let guard = Guard::new(self.pattern, self.rules, self.api);
        let resource = self.resource.default_service(web::to(refuse));
        config.service(resource.wrap(guard).wrap(Observe::new(self.pattern, self.api)));
    }
}

/// Pulls, the commonest requests of all, found by looking at the path before any pattern is tried: a regular expression for
/// each route is a good part of what an up-to-date poll costs.
struct Pulls {
    api: web::Data<Api>,
}

impl HttpServiceFactory for Pulls {
    fn register(self, config: &mut AppService) {
        let rules = [Method::GET, Method::HEAD].map(|method| (method, Rule::READ)).into();
        let pulls = web::to(changes::changes)
            .wrap(Guard::new(CHANGES, rules, &self.api))
            .wrap(Observe::new(CHANGES, &self.api));
        config.register_service(ResourceDef::prefix("/v1/spaces"), Some(vec![Box::new(IsPull)]), pulls, None);
    }
}

struct IsPull;

impl ActixGuard for IsPull {
    fn check(&self, context: &GuardContext<'_>) -> bool {
        let head = context.head();
        let path = head.uri.path().strip_prefix("/v1/spaces/").and_then(|rest| rest.strip_suffix("/changes"));
        path.is_some_and(|space| !space.is_empty() && !space.contains('/'))
            && matches!(head.method, Method::GET | Method::HEAD)
    }
}

async fn unknown(req: HttpRequest) -> Result<&'static str, Problem> {
    Err(Problem::new(Code::NotFound, format!("there is nothing at {}", req.path())))
}

/// What browsers of other origins may do (§9), where there are any.
pub fn cors(api: &Api) -> Condition<Cors> {
    let mut cors = Cors::default()
        .allowed_methods(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
        .allowed_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            header::HeaderName::from_static("last-event-id"),
            header::HeaderName::from_static(extract::CLIENT_HEADER),
        ])
        .expose_headers([header::ETAG, header::LINK, header::LOCATION, header::LAST_MODIFIED, header::RETRY_AFTER])
        .max_age(3600);
    for origin in &api.origins {
        cors = if origin == "*" { cors.allow_any_origin().send_wildcard() } else { cors.allowed_origin(origin) };
    }
    Condition::new(!api.origins.is_empty(), cors)
}
