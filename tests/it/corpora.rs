//! The corpora of the fuzz targets (`fuzz/`), replayed: what libFuzzer once found worth keeping is tried each time, by the same
//! checks, without libFuzzer.

use std::path::Path;

#[path = "../../fuzz/src/lib.rs"]
mod checks;

#[test]
fn what_must_hold_of_every_input_holds_of_all_that_the_fuzzer_kept() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, check) in checks::TARGETS {
        let mut inputs: Vec<_> =
            std::fs::read_dir(corpora.join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(inputs.len() > 10, "the corpus of {name} is not there");
        inputs.sort();
        for input in inputs {
            // The name of the one that fails is in the log.
            eprintln!("{}", input.display());
            check(&std::fs::read(&input).unwrap());
        }
    }
}
