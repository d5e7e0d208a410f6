//! A real history through the real program: every commit of a repository is one atomic push, and replicas that look in
//! now and then must be equal to the tree of the commit at which they do.

pub mod repository;

use repository::{Repository, commits};

use crate::support::{Feed, Form, Home, Program, Replica, Trouble, lots};

/// A replica that syncs at random commits, from a random commit on.
struct Reader {
    replica: Replica,
    form: Form,
    joins_at: usize,
    /// Syncs at one in so many commits.
    rarely: usize,
    syncs: usize,
    repairs: usize,
}

impl Reader {
    fn new(program: &Program, scope: Option<&'static str>, form: Form, joins_at: usize, rarely: usize) -> Self {
        let replica = Replica::new(program.link("kinto"), scope);
        Self { replica, form, joins_at, rarely, syncs: 0, repairs: 0 }
    }

    /// Pulls, and repairs if it must, which is exactly when it is behind the horizon of what it asks for.
    async fn sync(&mut self, repository: &Repository) {
        let behind = self.replica.whole_at.is_some_and(|at| at < repository.horizon(self.replica.scope));
        match self.replica.pull(self.form).await {
            Ok(()) => assert!(!behind, "a delta from behind the horizon cannot be complete"),
            Err(Trouble::Resync(problem)) => {
                assert!(behind, "nobody resyncs who need not: {problem}");
                assert_eq!(problem["reason"], "purged");
                assert_eq!(problem["horizon"], repository.horizon(self.replica.scope));
                self.replica.repair(&problem, self.form).await.unwrap();
                self.repairs += 1;
            }
            Err(Trouble::Lost(error)) => panic!("{error}"),
        }
        repository.assert_equal(&self.replica);
        self.syncs += 1;
    }
}

/// A replica that takes one small page after each commit, so that its sync has the history moving under it.
struct Slow {
    replica: Replica,
    limit: usize,
    /// Where its cursor is right to begin with: what the horizon must not pass.
    valid_from: u64,
    times_whole: usize,
}

impl Slow {
    async fn step(&mut self, repository: &Repository) {
        if self.replica.cursor.is_none() {
            self.valid_from = repository.head;
        }
        let behind = self.valid_from < repository.horizon(None);
        match self.replica.pull_page(self.limit).await {
            Ok(whole) => {
                assert!(!behind);
                if whole {
                    repository.assert_equal(&self.replica);
                    self.times_whole += 1;
                    // And once more from nothing.
                    self.replica.forget();
                }
            }
            Err(Trouble::Resync(problem)) => {
                assert!(behind, "{problem}");
                self.replica.repair(&problem, Form::Pages(self.limit)).await.unwrap();
                repository.assert_equal(&self.replica);
                self.valid_from = repository.head;
            }
            Err(Trouble::Lost(error)) => panic!("{error}"),
        }
    }
}

/// A replica that is left behind for many commits, and comes back when what it missed is purged.
struct Absent {
    reader: Reader,
    left_at: usize,
    commits: usize,
}

impl Absent {
    fn new(program: &Program, left_at: usize, commits: usize) -> Self {
        Self { reader: Reader::new(program, None, Form::Pages(1000), left_at, 1), left_at, commits }
    }

    fn returns_at(&self) -> usize {
        self.left_at + self.commits
    }

    /// The server refuses a delta, and a repair costs less than all the data, byte by byte.
    async fn return_and_repair(&mut self, repository: &Repository, program: &Program) {
        let before = self.reader.replica.link.bytes;
        self.reader.sync(repository).await;
        let repair = self.reader.replica.link.bytes - before;

        let mut anew = Replica::new(program.link("kinto"), None);
        anew.pull(Form::Pages(1000)).await.unwrap();
        repository.assert_equal(&anew);
        let full = anew.link.bytes;
        let (commits, share) = (self.commits, repair * 100 / full);
        if self.reader.repairs == 0 {
            assert!(commits < 2000, "after so many it must be told to resync");
            eprintln!("history: nothing was deleted in {commits} commits: a delta cost {repair} bytes");
        } else {
            eprintln!("history: a repair after {commits} commits cost {repair} bytes of {full} ({share} %)");
        }
        assert!(repair < full, "coming back cost {repair} bytes, where all costs {full}");
    }
}

/// A replica on the live feed.
struct Live {
    replica: Replica,
    feed: Option<Feed>,
    repairs: usize,
}

impl Live {
    fn new(program: &Program, scope: Option<&'static str>) -> Self {
        Self { replica: Replica::new(program.link("kinto"), scope), feed: None, repairs: 0 }
    }

    /// Reads events until there is nothing left to hear of.
    async fn catch_up(&mut self, repository: &Repository) {
        let due = repository.last_change(self.replica.scope);
        while self.replica.whole_at.is_none_or(|at| at < due) {
            let feed = match &mut self.feed {
                Some(feed) => feed,
                none => none.insert(self.replica.subscribe().await.unwrap()),
            };
            match self.replica.follow(feed).await {
                Ok(goes_on) => assert!(goes_on, "the feed ended"),
                // A purge came before the feed had read what it purged.
                Err(Trouble::Resync(problem)) => {
                    self.feed = None;
                    self.replica.repair(&problem, Form::Lines).await.unwrap();
                    self.repairs += 1;
                }
                Err(Trouble::Lost(error)) => panic!("{error}"),
            }
        }
        repository.assert_equal(&self.replica);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_of_a_real_history_are_equal_to_the_tree_of_their_commit() {
    let begun = std::time::Instant::now();
    let mut rng = lots("history");
    let mut program = Program::start(Home::new()).await;
    let mut repository = Repository::new(program.link("kinto"));

    let mut readers: Vec<Reader> = [
        (None, Form::Pages(1), 2000, 40),
        (None, Form::Pages(2), 1400, 40),
        (None, Form::Pages(7), 0, 60),
        (None, Form::Pages(rng.usize(10..500)), 0, 80),
        (None, Form::Lines, 0, 50),
        (None, Form::Lines, 1000, 300),
        (Some("docs"), Form::Pages(3), 0, 60),
        (Some("tests,kinto"), Form::Lines, 0, 60),
        (Some("rest,docs"), Form::Pages(1000), 0, 400),
    ]
    .into_iter()
    .map(|(scope, form, after, rarely)| Reader::new(&program, scope, form, after + rng.usize(..300), rarely))
    .collect();
    let mut slow = Slow { replica: Replica::new(program.link("kinto"), None), limit: 9, valid_from: 0, times_whole: 0 };
    let mut live = [Live::new(&program, None), Live::new(&program, Some("docs"))];
    // Before 550, next to nothing of what there is 2,000 commits later is there already.
    let absences = [(rng.usize(550..790), 2000), (rng.usize(1000..2500), 200), (rng.usize(1000..2700), 20)];
    let mut absent = absences.map(|(left_at, commits)| Absent::new(&program, left_at, commits));

    let mut purges = 0;
    for (number, commit) in commits().enumerate() {
        repository.commit(&commit).await;
        if rng.usize(..70) == 0 || absent.iter().any(|absent| number == absent.returns_at()) {
            repository.purge().await;
            purges += 1;
        }
        for reader in &mut readers {
            if number >= reader.joins_at && rng.usize(..reader.rarely) == 0 {
                reader.sync(&repository).await;
            }
        }
        slow.step(&repository).await;
        for live in &mut live {
            if rng.usize(..40) == 0 {
                live.catch_up(&repository).await;
            }
        }
        for absent in &mut absent {
            if number == absent.left_at {
                absent.reader.sync(&repository).await;
            }
            if number == absent.returns_at() {
                absent.return_and_repair(&repository, &program).await;
            }
        }
    }
    assert_eq!((repository.commits, repository.records(), repository.deletions), (2799, 402, 308));
    assert_eq!(repository.head, 8876);
    for reader in &mut readers {
        reader.sync(&repository).await;
    }
    for live in &mut live {
        live.catch_up(&repository).await;
    }
    assert!(slow.times_whole > 3, "the slow one was whole {} times", slow.times_whole);
    program.stop().await;
    program.check_integrity();
    let (syncs, repairs) = readers.iter().fold((0, 0), |(s, r), reader| (s + reader.syncs, r + reader.repairs));
    eprintln!(
        "history: {purges} purges, {syncs} syncs, {repairs} of them repairs, {} whole on the way, {} resyncs of live \
         feeds, {:?}",
        slow.times_whole,
        live.iter().map(|live| live.repairs).sum::<usize>(),
        begun.elapsed()
    );
}
