//! Schemas for the OpenAPI document: parameters, bodies that are read or written by hand, and the errors that many
//! routes share. A test reads what the writers write back as these shapes.

#![expect(dead_code, reason = "these types describe; values of them exist in tests only")]

mod bodies;
mod parameters;
mod problems;

pub use bodies::*;
pub use parameters::*;
pub use problems::*;

#[cfg(test)]
mod tests {
    use super::super::{page, push_answer};
    use super::*;
    use crate::http::problem::Problem as Refusal;

    #[test]
    fn what_is_written_has_the_shapes_described() {
        let written = page::tests::page();
        serde_json::from_slice::<Page>(&page::to_json(&written)).unwrap();
        let lines = String::from_utf8(page::to_lines(&written, true)).unwrap();
        for line in lines.lines() {
            serde_json::from_str::<ChangeLine>(line).unwrap();
        }
        let (answer, subjects) = push_answer::tests::answer();
        serde_json::from_slice::<PushAnswer>(&push_answer::to_json(&answer, &subjects)).unwrap();
        serde_json::from_slice::<Problem>(&Refusal::invalid("no").to_json()).unwrap();
    }
}
