//! The model test: random scenarios against the server, and what must hold whatever happens.

mod answers;
mod guard;
mod ledger;
mod reference;
mod replica;
mod scenario;
mod search;
mod wire;
mod world;

use guard::Guards;
use reference::Model;
use search::search;

#[test]
fn the_model_keeps_its_promises() {
    let found = search(1, 20_000, |steps| world::play(&mut Model::new(Guards::ALL), steps, Guards::ALL));
    if let Some(found) = found {
        panic!("a promise is broken:\n{found}");
    }
}
