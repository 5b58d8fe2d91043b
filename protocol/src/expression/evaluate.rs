//! Evaluation: expressions against the claims of one moment, each with what it read and how long the result lasts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cel::{Context, ExecutionError, FunctionContext, Value};
use ipnet::IpNet;

use super::arena::{ClaimArena, ROOTS};
use super::{ENV, Expression, MAX_COST, Scripts};
use crate::claims::{Facts, Reason, StepUp, StepUpKind};
use crate::interaction::{Interaction, InteractionKind};
use crate::time::UnixMillis;

const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// It holds. False if it does not, or on an error.
    pub holds: bool,
    /// Why it could not be evaluated: an absent claim, a wrong type, or no truth value as result.
    pub error: Option<String>,
    /// The next moment at which the result may change by itself.
    pub valid_until: Option<UnixMillis>,
}

/// Whose answers count for a condition: only those that its own interactions ask for (review F5).
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a>(pub &'a [Interaction]);

/// Evaluates many expressions against the same facts.
pub struct Evaluator<'a> {
    arena: &'a ClaimArena,
    context: Context<'a, 'a>,
    answers: Arc<Answers>,
}

/// What the answer functions look at, and what they leave behind.
struct Answers {
    now: UnixMillis,
    step_ups: BTreeMap<String, StepUp>,
    reasons: BTreeMap<String, Reason>,
    client_address: Option<IpAddr>,
    trace: Mutex<Trace>,
}

#[derive(Default)]
struct Trace {
    /// Suffix → provider that must have verified it; `None`: any.
    wanted: BTreeMap<String, Option<uuid::Uuid>>,
    valid_until: Option<UnixMillis>,
    reads: BTreeSet<String>,
}

impl<'a> Evaluator<'a> {
    /// Prepares for the claims of `arena`, which must have been made from the same `facts`.
    #[must_use]
    pub fn new(arena: &'a ClaimArena, facts: &Facts<'_>, scripts: &Scripts) -> Self {
        let answers = Arc::new(Answers {
            now: facts.now,
            step_ups: facts.step_ups.clone(),
            reasons: facts.reasons.clone(),
            client_address: facts
                .system
                .claim("clientSrcIP")
                .and_then(serde_json::Value::as_str)
                .and_then(|text| text.parse().ok()),
            trace: Mutex::default(),
        });
        let mut context = Context::with_env(ENV.clone());
        for (slot, root) in ROOTS.iter().enumerate() {
            context.add_variable_as_val(*root, Box::new(arena.view(slot)));
        }
        bind_answers(&mut context, &answers);
        bind_time(&mut context, &answers);
        bind_network(&mut context, &answers);
        for (name, script) in &scripts.0 {
            let script = script.clone();
            bind(
                context.add_function(name, move |caller: &FunctionContext<'_, '_>| script.program.execute(caller.ptx)),
            );
        }
        Self { arena, context, answers }
    }

    /// Evaluates one expression; `asked` binds answers to the condition that wanted them.
    #[must_use]
    pub fn evaluate(&self, expression: &Expression, asked: Asked<'_>) -> Outcome {
        self.start(asked);
        if !expression.cost.is_always_bearable() {
            // What other claims hold decides whether it is evaluated at all.
            self.arena.note_everything();
            let steps = expression.cost.with(self.arena.longest());
            if steps > MAX_COST {
                let error = format!("it would take {steps} steps with these claims, at most {MAX_COST} are allowed");
                return Outcome { holds: false, error: Some(error), valid_until: None };
            }
        }
        let result = expression.program.execute(&self.context);
        let valid_until = self.answers.with(|trace| trace.valid_until);
        match result {
            Ok(Value::Bool(holds)) => Outcome { holds, error: None, valid_until },
            Ok(other) => {
                let error = format!("the result is a {} and no truth value", other.type_of());
                Outcome { holds: false, error: Some(error), valid_until }
            }
            Err(error) => Outcome { holds: false, error: Some(error.to_string()), valid_until },
        }
    }

    /// Evaluates an expression whose result is a value.
    ///
    /// # Errors
    /// Why there is none: an absent claim, a wrong type, or a result that JSON does not have.
    pub fn value(&self, expression: &Expression, asked: Asked<'_>) -> Result<serde_json::Value, String> {
        self.start(asked);
        let value = expression.program.execute(&self.context).map_err(|error| error.to_string())?;
        value.json().map_err(|_| format!("the result is a {} and no value of a claim", value.type_of()))
    }

    /// Paths of the claims that the last evaluation read: `user.groups`, `device`, `stepUps.<suffix>`, `time` …
    #[must_use]
    pub fn last_reads(&self) -> BTreeSet<String> {
        let mut reads = self.arena.reads();
        self.answers.with(|trace| reads.append(&mut trace.reads.clone()));
        reads
    }

    fn start(&self, asked: Asked<'_>) {
        self.arena.forget_reads();
        let wanted = asked
            .0
            .iter()
            .filter(|interaction| interaction.kind != InteractionKind::DisplayMessage)
            .filter_map(|interaction| Some((interaction.claim_suffix.clone()?, interaction.provider_id)))
            .collect();
        self.answers.with(|trace| *trace = Trace { wanted, ..Trace::default() });
    }
}

impl Answers {
    fn with<T>(&self, act: impl FnOnce(&mut Trace) -> T) -> T {
        act(&mut self.trace.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes a read, and the moment at which the result may change.
    fn note(&self, read: String, change: Option<UnixMillis>) {
        self.with(|trace| {
            trace.reads.insert(read);
            if let Some(change) = change {
                trace.valid_until = Some(trace.valid_until.map_or(change, |known| known.min(change)));
            }
        });
    }

    /// Whether something that happened at `at` is less than `minutes` ago.
    fn recent(&self, read: String, at: Option<UnixMillis>, minutes: i64) -> bool {
        let life = Duration::from_secs(u64::try_from(minutes).unwrap_or(0).saturating_mul(60));
        let end = at.map(|at| at.plus(life)).filter(|end| *end > self.now);
        self.note(read, end);
        end.is_some()
    }

    fn stepped_up(&self, suffix: &str, kind: StepUpKind, minutes: i64) -> bool {
        let provider = self.with(|trace| trace.wanted.get(suffix).copied().flatten());
        let proof = self.step_ups.get(suffix);
        let counts = |proof: &&StepUp| proof.kind == kind && provider.is_none_or(|wanted| wanted == proof.provider_id);
        self.recent(format!("stepUps.{suffix}"), proof.filter(counts).map(|proof| proof.at), minutes)
    }

    fn within(&self, from: &str, to: &str) -> Result<bool, ExecutionError> {
        let (from, to) = (time_of_day(from)?, time_of_day(to)?);
        let today = self.now.0 - self.now.0 % DAY;
        let at = self.now.0 % DAY;
        let next = [from, to].into_iter().map(|edge| if edge > at { today + edge } else { today + DAY + edge }).min();
        self.note("time".to_owned(), next.map(UnixMillis));
        Ok(if from <= to { (from..to).contains(&at) } else { at >= from || at < to })
    }
}

fn bind_answers(context: &mut Context<'_, '_>, answers: &Arc<Answers>) {
    for (name, kind) in [("hasMfa", StepUpKind::Otp), ("hasPassword", StepUpKind::Password)] {
        let answers = answers.clone();
        bind(
            context.add_function(name, move |suffix: Arc<String>, minutes: i64| {
                answers.stepped_up(&suffix, kind, minutes)
            }),
        );
    }
    let answers = answers.clone();
    bind(context.add_function("hasReason", move |suffix: Arc<String>, minutes: i64| {
        let given = answers.reasons.get(suffix.as_str()).map(|reason| reason.at);
        answers.recent(format!("reasons.{suffix}"), given, minutes)
    }));
}

fn bind_time(context: &mut Context<'_, '_>, answers: &Arc<Answers>) {
    let clock = answers.clone();
    bind(context.add_function("inTimeRange", move |from: Arc<String>, to: Arc<String>| clock.within(&from, &to)));
    let clock = answers.clone();
    bind(context.add_function("weekday", move || {
        let days = clock.now.0 / DAY;
        clock.note("time".to_owned(), Some(UnixMillis((days + 1) * DAY)));
        // 1970-01-01 was a Thursday, day 4 of a week that begins on Sunday.
        i64::try_from((days + 4) % 7).unwrap_or(0)
    }));
    let clock = answers.clone();
    bind(context.add_function("minutesSince", move |at: chrono::DateTime<chrono::FixedOffset>| {
        let at = UnixMillis(u64::try_from(at.timestamp_millis()).unwrap_or(0));
        let passed = at.until(clock.now).as_secs() / 60;
        clock.note("time".to_owned(), Some(UnixMillis(at.0 + (passed + 1) * MINUTE)));
        i64::try_from(passed).unwrap_or(i64::MAX)
    }));
}

fn bind_network(context: &mut Context<'_, '_>, answers: &Arc<Answers>) {
    bind(context.add_function("isInNetwork", |address: Arc<String>, net: Arc<String>| {
        let address: IpAddr = address.parse().map_err(|_| function_error("isInNetwork", "the address is malformed"))?;
        Ok(prefix("isInNetwork", &net)?.contains(&address))
    }));
    let client = answers.clone();
    bind(context.add_function("isClientInNetwork", move |net: Arc<String>| {
        client.note("system.clientSrcIP".to_owned(), None);
        let net = prefix("isClientInNetwork", &net)?;
        Ok::<_, ExecutionError>(client.client_address.is_some_and(|address| net.contains(&address)))
    }));
}

fn bind<E: std::fmt::Debug>(declared: Result<(), E>) {
    declared.expect("function names are unique and not CEL's own");
}

fn prefix(function: &str, text: &str) -> Result<IpNet, ExecutionError> {
    text.parse().map_err(|_| function_error(function, "the network is no prefix like 10.0.0.0/8"))
}

fn function_error(function: &str, message: &str) -> ExecutionError {
    ExecutionError::function_error(function, message)
}

/// `08:30` as milliseconds of the day.
fn time_of_day(text: &str) -> Result<u64, ExecutionError> {
    let parsed = text.split_once(':').and_then(|(hours, minutes)| {
        let (hours, minutes): (u64, u64) = (hours.parse().ok()?, minutes.parse().ok()?);
        (hours < 24 && minutes < 60).then_some((hours * 60 + minutes) * MINUTE)
    });
    parsed.ok_or_else(|| function_error("inTimeRange", "expected a time of day like 08:30"))
}
