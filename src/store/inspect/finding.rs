//! What an inspection found: a fault, where, and what became of it.

use std::fmt::Display;

use super::fault::Fault;

/// What becomes, or became, of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// A repair mends it.
    Repair,
    /// A repair has mended it.
    Mended,
    /// It is not mended; this is to be done.
    Advice(String),
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub fault: Fault,
    /// In which space: its name as it is stored, or its id where it has none.
    pub space: Option<String>,
    /// In which collection.
    pub collection: Option<String>,
    /// What is stored; of several rows, the first.
    pub stored: Option<String>,
    /// What the rows say in its place.
    pub rows: Option<String>,
    /// How many rows it is about, where it is about rows.
    pub count: Option<u64>,
    /// What is to be done.
    pub remedy: Remedy,
}

impl Finding {
    /// A fault of the database as a whole, or of what is named later.
    pub fn of(fault: Fault) -> Self {
        let remedy = fault.description().2.map_or(Remedy::Repair, |advice| Remedy::Advice(advice.into()));
        Self { fault, space: None, collection: None, stored: None, rows: None, count: None, remedy }
    }

    /// Names what is stored.
    #[must_use]
    pub fn stored(mut self, value: impl Display) -> Self {
        self.stored = Some(value.to_string());
        self
    }

    /// Names what the rows say.
    #[must_use]
    pub fn rows(mut self, value: impl Display) -> Self {
        self.rows = Some(value.to_string());
        self
    }

    /// Names the collection.
    #[must_use]
    pub fn collection(mut self, name: impl Display) -> Self {
        self.collection = Some(name.to_string());
        self
    }

    /// Names the space.
    #[must_use]
    pub fn space(mut self, name: impl Display) -> Self {
        self.space = Some(name.to_string());
        self
    }

    /// Says how many rows it is about.
    #[must_use]
    pub fn count(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }

    /// Says what is to be done in place of a repair.
    #[must_use]
    pub fn advice(mut self, what: impl Into<String>) -> Self {
        self.remedy = Remedy::Advice(what.into());
        self
    }

    /// The same, mended, if it could be.
    #[must_use]
    pub fn mended(mut self) -> Self {
        if self.remedy == Remedy::Repair {
            self.remedy = Remedy::Mended;
        }
        self
    }
}
