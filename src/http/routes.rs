//! Which path and method leads to which handler, and what it takes to come in.

use actix_cors::Cors;
use actix_web::dev::{AppService, HttpServiceFactory, ResourceDef};
use actix_web::guard::{Guard as ActixGuard, GuardContext};
use actix_web::http::{Method, header};
use actix_web::{FromRequest, Handler, HttpRequest, Resource, Responder, web};

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
    at(CHANGES).get(Rule::READ, changes::changes).add(config);
    at("/v1/spaces/{space}/push").post(Rule::WRITE, push::push).add(config);
    at("/v1/spaces/{space}/records/{collection}/{id}")
        .get(Rule::READ, records::read)
        .put(Rule::WRITE, records::replace)
        .patch(Rule::WRITE, records::merge)
        .delete(Rule::WRITE, records::delete)
        .add(config);
    at("/v1/spaces/{space}/records/{collection}")
        .get(Rule::READ, records::list)
        .post(Rule::WRITE, records::create)
        .add(config);
    at("/v1/spaces/{space}/manifest").get(Rule::READ, repair::manifest).add(config);
    at("/v1/spaces/{space}/fetch").post(Rule::READ, repair::fetch).add(config);
    at("/v1/spaces/{space}/quota")
        .get(Rule::READ, quota::read)
        .put(Rule::ADMIN.audited("quota.configure"), quota::configure)
        .add(config);
    at("/v1/spaces/{space}/retention")
        .get(Rule::READ, retention::read)
        .put(Rule::ADMIN.audited("retention.configure"), retention::configure)
        .add(config);
    at("/v1/spaces/{space}/retention/plan").get(Rule::ADMIN, retention::plan).add(config);
    at("/v1/spaces/{space}/retention/state").get(Rule::ADMIN, retention::state).add(config);
    at("/v1/spaces/{space}/clients").get(Rule::ADMIN, clients::list).add(config);
    at("/v1/spaces/{space}/clients/{client}").delete(Rule::ADMIN.audited("client.forget"), clients::forget).add(config);
    at("/v1/spaces/{space}/stats").get(Rule::ADMIN, stats::read).add(config);
    at("/v1/spaces/{space}/compact").post(Rule::ADMIN.audited("space.compact"), retention::compact).add(config);
    at("/v1/spaces/{space}")
        .get(Rule::READ, spaces::read)
        .put(Rule::ADMIN.audited("space.configure"), spaces::configure)
        .delete(Rule::ADMIN.audited("space.delete"), spaces::delete)
        .add(config);
    at("/v1/spaces").get(Rule::SIGNED_IN, spaces::list).add(config);
    at("/v1/tokens")
        .get(Rule::ANY_ADMIN, tokens::list)
        .post(Rule::ANY_ADMIN.audited("token.create"), tokens::create)
        .add(config);
    at("/v1/tokens/{token_id}").delete(Rule::ANY_ADMIN.audited("token.revoke"), tokens::revoke).add(config);
    at("/openapi.json").get(Rule::PUBLIC, openapi::serve).add(config);
    at("/healthz").get(Rule::PUBLIC, status::alive).add(config);
    at("/readyz").get(Rule::PUBLIC, status::ready).add(config);
    at("/metrics").get(Rule::EVERYTHING, status::metrics).add(config);
    at("/").get(Rule::PUBLIC, dashboard::page).add(config);
    at("/session").post(Rule::PUBLIC, dashboard::begin_session).add(config);
    at("/session/end").post(Rule::PUBLIC, dashboard::end_session).add(config);
    at("/dashboard/app.js").get(Rule::PUBLIC, dashboard::script).add(config);
    at("/dashboard/app.css").get(Rule::PUBLIC, dashboard::style).add(config);
    at("/dashboard/events").get(Rule::SIGNED_IN, dashboard::events).add(config);
    if api.example {
        at(example::PATH).get(Rule::PUBLIC, example::page).add(config);
        at("/example/strandline.js").get(Rule::PUBLIC, example::script).add(config);
        at("/example").get(Rule::PUBLIC, example::redirect).add(config);
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
    fn get<F, Args>(self, rule: Rule, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::GET, rule, handler.clone()).on(Method::HEAD, rule, handler)
    }

    fn put<F, Args>(self, rule: Rule, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::PUT, rule, handler)
    }

    fn post<F, Args>(self, rule: Rule, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::POST, rule, handler)
    }

    fn patch<F, Args>(self, rule: Rule, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::PATCH, rule, handler)
    }

    fn delete<F, Args>(self, rule: Rule, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::DELETE, rule, handler)
    }

    fn on<F, Args>(mut self, method: Method, rule: Rule, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.resource = self.resource.route(web::method(method.clone()).to(handler));
        self.rules.push((method, rule));
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

/// What browsers of other origins may do (§9); `*` among `origins` stands for every origin.
pub fn cors(origins: &[String]) -> Cors {
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
    for origin in origins {
        cors = if origin == "*" { cors.allow_any_origin().send_wildcard() } else { cors.allowed_origin(origin) };
    }
    cors
}
