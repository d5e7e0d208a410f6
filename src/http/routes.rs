//! Which path and method leads to which handler.

use actix_cors::Cors;
use actix_web::body::BoxBody;
use actix_web::dev::{AppService, HttpServiceFactory, ResourceDef, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::guard::{Guard, GuardContext};
use actix_web::http::{Method, header};
use actix_web::{Error, HttpRequest, Resource, web};

use super::observe::Observe;
use super::problem::{Code, Problem};
use super::{
    Api, changes, clients, dashboard, example, extract, openapi, push, records, repair, retention, spaces, stats,
    status,
};

const CHANGES: &str = "/v1/spaces/{space}/changes";

/// All routes, for a worker's application.
pub fn routes(api: &web::Data<Api>, config: &mut web::ServiceConfig) {
    let at = |path, allow| resource(path, allow, api);
    config
        .app_data(api.clone())
        .service(Pulls { api: api.clone() })
        .service(
            at(CHANGES, "GET, HEAD").route(web::get().to(changes::changes)).route(web::head().to(changes::changes)),
        )
        .service(at("/v1/spaces/{space}/push", "POST").route(web::post().to(push::push)))
        .service(
            at("/v1/spaces/{space}/records/{collection}/{id}", "GET, HEAD, PUT, PATCH, DELETE")
                .route(web::get().to(records::read))
                .route(web::head().to(records::read))
                .route(web::put().to(records::replace))
                .route(web::patch().to(records::merge))
                .route(web::delete().to(records::delete)),
        )
        .service(
            at("/v1/spaces/{space}/records/{collection}", "GET, HEAD, POST")
                .route(web::get().to(records::list))
                .route(web::head().to(records::list))
                .route(web::post().to(records::create)),
        )
        .service(
            at("/v1/spaces/{space}/manifest", "GET, HEAD")
                .route(web::get().to(repair::manifest))
                .route(web::head().to(repair::manifest)),
        )
        .service(at("/v1/spaces/{space}/fetch", "POST").route(web::post().to(repair::fetch)))
        .service(
            at("/v1/spaces/{space}/retention", "GET, HEAD, PUT")
                .route(web::get().to(retention::read))
                .route(web::head().to(retention::read))
                .route(web::put().to(retention::configure)),
        )
        .service(
            at("/v1/spaces/{space}/retention/plan", "GET, HEAD")
                .route(web::get().to(retention::plan))
                .route(web::head().to(retention::plan)),
        )
        .service(
            at("/v1/spaces/{space}/retention/state", "GET, HEAD")
                .route(web::get().to(retention::state))
                .route(web::head().to(retention::state)),
        )
        .service(
            at("/v1/spaces/{space}/clients", "GET, HEAD")
                .route(web::get().to(clients::list))
                .route(web::head().to(clients::list)),
        )
        .service(at("/v1/spaces/{space}/clients/{client}", "DELETE").route(web::delete().to(clients::forget)))
        .service(
            at("/v1/spaces/{space}/stats", "GET, HEAD")
                .route(web::get().to(stats::read))
                .route(web::head().to(stats::read)),
        )
        .service(at("/v1/spaces/{space}/compact", "POST").route(web::post().to(retention::compact)))
        .service(
            at("/v1/spaces/{space}", "GET, HEAD, PUT, DELETE")
                .route(web::get().to(spaces::read))
                .route(web::head().to(spaces::read))
                .route(web::put().to(spaces::configure))
                .route(web::delete().to(spaces::delete)),
        )
        .service(at("/v1/spaces", "GET, HEAD").route(web::get().to(spaces::list)).route(web::head().to(spaces::list)))
        .service(
            at("/openapi.json", "GET, HEAD").route(web::get().to(openapi::serve)).route(web::head().to(openapi::serve)),
        )
        .service(at("/healthz", "GET, HEAD").route(web::get().to(status::alive)).route(web::head().to(status::alive)))
        .service(at("/readyz", "GET, HEAD").route(web::get().to(status::ready)).route(web::head().to(status::ready)))
        .service(
            at("/metrics", "GET, HEAD").route(web::get().to(status::metrics)).route(web::head().to(status::metrics)),
        )
        // All other paths are one route to the metrics: there is no end to them.
        .default_service(web::to(unknown).wrap(Observe::new("unknown", api)));
    dashboard_routes(api, config);
    if api.example {
        example_routes(api, config);
    }
}

fn dashboard_routes(api: &web::Data<Api>, config: &mut web::ServiceConfig) {
    let at = |path| resource(path, "GET, HEAD", api);
    config
        .service(at("/").route(web::get().to(dashboard::page)).route(web::head().to(dashboard::page)))
        .service(
            at("/dashboard/app.js").route(web::get().to(dashboard::script)).route(web::head().to(dashboard::script)),
        )
        .service(
            at("/dashboard/app.css").route(web::get().to(dashboard::style)).route(web::head().to(dashboard::style)),
        )
        .service(
            at("/dashboard/events").route(web::get().to(dashboard::events)).route(web::head().to(dashboard::events)),
        );
}

fn example_routes(api: &web::Data<Api>, config: &mut web::ServiceConfig) {
    let at = |path| resource(path, "GET, HEAD", api);
    config
        .service(at(example::PATH).route(web::get().to(example::page)).route(web::head().to(example::page)))
        .service(
            at("/example/strandline.js").route(web::get().to(example::script)).route(web::head().to(example::script)),
        )
        .service(at("/example").route(web::get().to(example::redirect)).route(web::head().to(example::redirect)));
}

/// Pulls, the commonest requests of all, found by looking at the path before any pattern is tried: a regular expression for
/// each route is a good part of what an up-to-date poll costs.
struct Pulls {
    api: web::Data<Api>,
}

impl HttpServiceFactory for Pulls {
    fn register(self, config: &mut AppService) {
        let pulls = web::to(changes::changes).wrap(Observe::new(CHANGES, &self.api));
        config.register_service(ResourceDef::prefix("/v1/spaces"), Some(vec![Box::new(IsPull)]), pulls, None);
    }
}

struct IsPull;

impl Guard for IsPull {
    fn check(&self, context: &GuardContext<'_>) -> bool {
        let head = context.head();
        let path = head.uri.path().strip_prefix("/v1/spaces/").and_then(|rest| rest.strip_suffix("/changes"));
        path.is_some_and(|space| !space.is_empty() && !space.contains('/'))
            && matches!(head.method, Method::GET | Method::HEAD)
    }
}

/// A path with all its methods; `allow` names them for a 405.
fn resource(
    path: &'static str,
    allow: &'static str,
    api: &web::Data<Api>,
) -> Resource<
    impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<BoxBody>, Error = Error, InitError = ()>
    + use<>,
> {
    let refuse = move || async move { Err::<&str, _>(Problem::method_not_allowed(allow)) };
    web::resource(path).wrap(Observe::new(path, api)).default_service(web::to(refuse))
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
