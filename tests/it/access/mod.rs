//! PROTOCOL.md §10: who may come in, and how far.

mod audit;
mod issuer;
mod jwt;
mod page;
mod routes;
mod scope;
mod streams;
mod tokens;

use serde_json::{Value, json};

use crate::support::{Answer, Server};

impl Server {
    /// Issues a token with these grants, by the credential of an administrator, or of nobody where nobody needs one.
    pub async fn issue(&self, admin: &str, grants: &Value) -> String {
        self.issue_for(admin, grants, "forever").await["token"].as_str().unwrap().to_owned()
    }

    pub async fn issue_for(&self, admin: &str, grants: &Value, expires: &str) -> Value {
        let body = json!({"name": "a test's", "grants": grants, "expires": expires});
        self.send_as(admin, "POST", "/v1/tokens", &body).await.expect(201)
    }

    /// Sends a request with a token.
    pub async fn send_as(&self, token: &str, method: &str, path: &str, body: &Value) -> Answer {
        let authorization = format!("Bearer {token}");
        let mut headers = vec![("content-type", "application/json")];
        if !token.is_empty() {
            headers.push(("authorization", &authorization));
        }
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, path, &headers, body).await
    }

    pub async fn get_as(&self, token: &str, path: &str) -> Answer {
        self.send_as(token, "GET", path, &Value::Null).await
    }
}

/// A server with a space `demo` that has a record in each of two collections, and the token of one who may do everything.
pub async fn locked() -> (Server, String) {
    let server = Server::start().await;
    fill(&server).await;
    let root = server.issue("", &json!([{"space": "*", "access": "admin"}])).await;
    (server, root)
}

async fn fill(server: &Server) {
    server.write_in("todos", "a", &json!({"n": 1})).await;
    server.write_in("lists", "b", &json!({"n": 2})).await;
}
