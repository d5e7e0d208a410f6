//! What the guard leaves for the handler: who asks, and which collections it may touch.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};

use super::super::Api;
use super::super::problem::{Code, Problem};
use super::super::throttle::Account;
use super::rule::forbidden;
use crate::access::Holder;
use crate::domain::access::{Access, Reach};
use crate::domain::{CollectionName, Collections, SpaceName};

/// Who asks. It cannot be had past the guard.
#[derive(Clone, Debug)]
pub struct Permit {
    /// `None` where there is no access control.
    holder: Option<Arc<Holder>>,
    /// What the holder has taken of what it may.
    account: Option<Arc<Account>>,
}

impl Permit {
    /// Of whoever holds a credential.
    pub(super) fn of(holder: Arc<Holder>, account: Arc<Account>) -> Self {
        Self { holder: Some(holder), account: Some(account) }
    }

    /// What the guard left in a request.
    ///
    /// # Errors
    /// 401: there was no access control when the guard looked, and there is now.
    pub fn left_in(req: &HttpRequest) -> Result<Self, Problem> {
        if let Some(permit) = req.extensions().get::<Self>() {
            return Ok(permit.clone());
        }
        if req.app_data::<web::Data<Api>>().is_some_and(|api| api.keyring.is_open()) {
            return Ok(Self { holder: None, account: None });
        }
        Err(Problem::new(Code::Unauthorized, "from now on every request needs a token"))
    }

    /// Who asks; `None` where there is no access control.
    pub fn holder(&self) -> Option<&Arc<Holder>> {
        self.holder.as_ref()
    }

    /// What the holder has taken; `None` where there is no access control.
    pub fn account(&self) -> Option<&Arc<Account>> {
        self.account.as_ref()
    }

    /// The collections that a request covers which asks for `asked`: these, if all of them may be touched; all that may, where
    /// it asks for all (§10).
    ///
    /// # Errors
    /// 404 or 403.
    pub fn choice(
        &self,
        space: &SpaceName,
        access: Access,
        asked: Option<Collections>,
    ) -> Result<Option<Collections>, Problem> {
        let Some(holder) = &self.holder else { return Ok(asked) };
        match (holder.grants.reach(space.as_str(), access), asked) {
            (Reach::Nowhere, _) => Err(Problem::no_space(space)),
            (Reach::TooLittle, _) => Err(forbidden(format!("this takes {access} access to the space {space}"))),
            (Reach::Whole, asked) => Ok(asked),
            (Reach::Part(own), None) => Ok(Some(own)),
            (Reach::Part(own), Some(asked)) => {
                asked.names().iter().try_for_each(|name| within(&own, name, access))?;
                Ok(Some(asked))
            }
        }
    }

    /// That this collection may be touched.
    ///
    /// # Errors
    /// 404 or 403.
    pub fn touch(&self, space: &SpaceName, access: Access, collection: &CollectionName) -> Result<(), Problem> {
        self.touch_all(space, access, std::iter::once(collection))
    }

    /// That these collections may be touched.
    ///
    /// # Errors
    /// 404 or 403.
    pub fn touch_all<'a>(
        &self,
        space: &SpaceName,
        access: Access,
        mut collections: impl Iterator<Item = &'a CollectionName>,
    ) -> Result<(), Problem> {
        match self.choice(space, access, None)? {
            // All of them, or there is no access control.
            None => Ok(()),
            Some(own) => collections.try_for_each(|name| within(&own, name, access)),
        }
    }
}

fn within(own: &Collections, name: &CollectionName, access: Access) -> Result<(), Problem> {
    if own.contains(name) {
        return Ok(());
    }
    Err(forbidden(format!("this takes {access} access to the collection {name}")))
}

impl FromRequest for Permit {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::left_in(req))
    }
}
