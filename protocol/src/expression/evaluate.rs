//! Evaluation: expressions against the claims of one moment, each with what it read and how long the result lasts.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cel::{Context, ExecutionError, FunctionContext, Value};
use ipnet::IpNet;

use super::arena::{ClaimArena, ROOTS};
use super::direct::{Fault, Node, Run};
use super::{ENV, Expression, MAX_COST, Scripts};
use crate::claims::{Facts, Reason, StepUp, StepUpKind};
use crate::form::network;
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

/// Whose answers count for a condition: only those that its own interactions ask for (T5).
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a>(pub &'a [Interaction]);

/// Evaluates many expressions against the same facts.
pub struct Evaluator<'a> {
    arena: &'a ClaimArena<'a>,
    scripts: Scripts,
    answers: Arc<Answers>,
    /// The interpreter's, made when the first expression needs it: most need none.
    context: OnceCell<Context<'a, 'a>>,
}

/// What the answer functions look at, and what they leave behind.
pub(super) struct Answers {
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
    /// The time was read, and the Client's address: so often that they have no place among the texts.
    time: bool,
    client_address: bool,
}

impl<'a> Evaluator<'a> {
    /// Prepares for the claims of `arena`, which must have been made from the same `facts`.
    #[must_use]
    pub fn new(arena: &'a ClaimArena<'a>, facts: &Facts<'_>, scripts: &Scripts) -> Self {
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
        Self { arena, scripts: scripts.clone(), answers, context: OnceCell::new() }
    }

    /// Evaluates one expression; `asked` binds answers to the condition that wanted them.
    #[must_use]
    pub fn evaluate(&self, expression: &Expression, asked: Asked<'_>) -> Outcome {
        self.directly(expression, asked).unwrap_or_else(|| self.interpreted(expression, asked))
    }

    /// Evaluates an expression whose result is a value.
    ///
    /// # Errors
    /// Why there is none: an absent claim, a wrong type, too many steps, or a result that JSON does not have.
    pub fn value(&self, expression: &Expression, asked: Asked<'_>) -> Result<serde_json::Value, String> {
        self.start(expression, asked)?;
        let value = expression.program.execute(self.context()).map_err(|error| error.to_string())?;
        value.json().map_err(|_| format!("the result is a {} and no value of a claim", value.type_of()))
    }

    /// The outcome without the interpreter; `None` if that must say.
    pub(super) fn directly(&self, expression: &Expression, asked: Asked<'_>) -> Option<Outcome> {
        let tree: &Node = expression.direct.as_deref()?;
        if let Err(error) = self.start(expression, asked) {
            return Some(Outcome { holds: false, error: Some(error), valid_until: None });
        }
        let run = Run { arena: self.arena, answers: &self.answers, scripts: &self.scripts };
        let (holds, error) = match run.truth(tree, None) {
            Ok(holds) => (holds, None),
            Err(Fault::Absent(name)) => (false, Some(ExecutionError::no_such_key(name).to_string())),
            Err(Fault::Unsure) => return None,
        };
        Some(Outcome { holds, error, valid_until: self.answers.with(|trace| trace.valid_until) })
    }

    /// The outcome by the interpreter.
    pub(super) fn interpreted(&self, expression: &Expression, asked: Asked<'_>) -> Outcome {
        if let Err(error) = self.start(expression, asked) {
            return Outcome { holds: false, error: Some(error), valid_until: None };
        }
        let result = expression.program.execute(self.context());
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

    /// Paths of the claims that the last evaluation read: `user.groups`, `device`, `stepUps.<suffix>`, `time` …
    #[must_use]
    pub fn last_reads(&self) -> BTreeSet<String> {
        let mut reads = self.arena.reads();
        self.answers.with(|trace| {
            reads.append(&mut trace.reads.clone());
            reads.extend(trace.time.then(|| "time".to_owned()));
            reads.extend(trace.client_address.then(|| "system.clientSrcIP".to_owned()));
        });
        reads
    }

    /// Forgets what the last evaluation read; says why this one would take too long.
    fn start(&self, expression: &Expression, asked: Asked<'_>) -> Result<(), String> {
        self.arena.forget_reads();
        let wanted = asked
            .0
            .iter()
            .filter(|interaction| interaction.kind != InteractionKind::DisplayMessage)
            .filter_map(|interaction| Some((interaction.claim_suffix.clone()?, interaction.provider_id)))
            .collect();
        self.answers.with(|trace| *trace = Trace { wanted, ..Trace::default() });
        if expression.cost.is_always_bearable() {
            return Ok(());
        }
        // What other claims hold decides whether it is evaluated at all.
        self.arena.note_everything();
        let steps = expression.cost.with(self.arena.longest());
        if steps > MAX_COST {
            return Err(format!("it would take {steps} steps with these claims, at most {MAX_COST} are allowed"));
        }
        Ok(())
    }

    fn context(&self) -> &Context<'a, 'a> {
        self.context.get_or_init(|| {
            let mut context = Context::with_env(ENV.clone());
            for (slot, root) in ROOTS.iter().enumerate() {
                context.add_variable_as_val(*root, Box::new(self.arena.view(slot)));
            }
            bind_answers(&mut context, &self.answers);
            bind_time(&mut context, &self.answers);
            bind_network(&mut context, &self.answers);
            for (name, script) in &*self.scripts.0 {
                let script = script.clone();
                bind(
                    context
                        .add_function(name, move |caller: &FunctionContext<'_, '_>| script.program.execute(caller.ptx)),
                );
            }
            context
        })
    }
}

impl Answers {
    fn with<T>(&self, act: impl FnOnce(&mut Trace) -> T) -> T {
        act(&mut self.trace.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes the moment at which the result may change.
    fn note(&self, read: impl FnOnce(&mut Trace), change: Option<UnixMillis>) {
        self.with(|trace| {
            read(trace);
            if let Some(change) = change {
                trace.valid_until = Some(trace.valid_until.map_or(change, |known| known.min(change)));
            }
        });
    }

    fn note_time(&self, change: Option<UnixMillis>) {
        self.note(|trace| trace.time = true, change);
    }

    /// Whether something that happened at `at` is less than `minutes` ago.
    fn recent(&self, read: String, at: Option<UnixMillis>, minutes: i64) -> bool {
        let life = Duration::from_secs(u64::try_from(minutes).unwrap_or(0).saturating_mul(60));
        let end = at.map(|at| at.plus(life)).filter(|end| *end > self.now);
        self.note(|trace| trace.reads.extend([read]), end);
        end.is_some()
    }

    pub(super) fn stepped_up(&self, suffix: &str, kind: StepUpKind, minutes: i64) -> bool {
        let provider = self.with(|trace| trace.wanted.get(suffix).copied().flatten());
        let proof = self.step_ups.get(suffix);
        let counts = |proof: &&StepUp| proof.kind == kind && provider.is_none_or(|wanted| wanted == proof.provider_id);
        self.recent(format!("stepUps.{suffix}"), proof.filter(counts).map(|proof| proof.at), minutes)
    }

    pub(super) fn reasoned(&self, suffix: &str, minutes: i64) -> bool {
        let given = self.reasons.get(suffix).map(|reason| reason.at);
        self.recent(format!("reasons.{suffix}"), given, minutes)
    }

    /// Whether the time of day is in a range, which may span midnight; both edges as milliseconds of the day.
    pub(super) fn within(&self, from: u64, to: u64) -> bool {
        let today = self.now.0 - self.now.0 % DAY;
        let at = self.now.0 % DAY;
        let next =
            [from, to].into_iter().map(|edge| today.saturating_add(if edge > at { edge } else { DAY + edge })).min();
        self.note_time(next.map(UnixMillis));
        if from <= to { (from..to).contains(&at) } else { at >= from || at < to }
    }

    /// The day of the week, 0 is Sunday.
    pub(super) fn weekday(&self) -> i64 {
        let days = self.now.0 / DAY;
        self.note_time(Some(UnixMillis((days + 1).saturating_mul(DAY))));
        // 1970-01-01 was a Thursday, day 4 of a week that begins on Sunday.
        i64::try_from((days + 4) % 7).unwrap_or(0)
    }

    pub(super) fn client_within(&self, net: &IpNet) -> bool {
        self.note_client_address();
        self.client_address.is_some_and(|address| net.contains(&address))
    }

    fn note_client_address(&self) {
        self.note(|trace| trace.client_address = true, None);
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
    bind(
        context.add_function("hasReason", move |suffix: Arc<String>, minutes: i64| answers.reasoned(&suffix, minutes)),
    );
}

fn bind_time(context: &mut Context<'_, '_>, answers: &Arc<Answers>) {
    let clock = answers.clone();
    bind(context.add_function("inTimeRange", move |from: Arc<String>, to: Arc<String>| {
        Ok::<_, ExecutionError>(clock.within(time_of_day(&from)?, time_of_day(&to)?))
    }));
    let clock = answers.clone();
    bind(context.add_function("weekday", move || clock.weekday()));
    let clock = answers.clone();
    bind(context.add_function("minutesSince", move |at: chrono::DateTime<chrono::FixedOffset>| {
        let at = UnixMillis(u64::try_from(at.timestamp_millis()).unwrap_or(0));
        let passed = at.until(clock.now).as_secs() / 60;
        clock.note_time(Some(UnixMillis(at.0.saturating_add((passed + 1).saturating_mul(MINUTE)))));
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
        client.note_client_address();
        Ok::<_, ExecutionError>(client.client_within(&prefix("isClientInNetwork", &net)?))
    }));
}

fn bind<E: std::fmt::Debug>(declared: Result<(), E>) {
    declared.expect("function names are unique and not CEL's own");
}

fn prefix(function: &str, text: &str) -> Result<IpNet, ExecutionError> {
    network(text).ok_or_else(|| function_error(function, "the network is no prefix like 10.0.0.0/8"))
}

fn function_error(function: &str, message: &str) -> ExecutionError {
    ExecutionError::function_error(function, message)
}

/// `08:30` as milliseconds of the day.
pub(super) fn time_of_day(text: &str) -> Result<u64, ExecutionError> {
    let parsed = text.split_once(':').and_then(|(hours, minutes)| {
        let (hours, minutes): (u64, u64) = (hours.parse().ok()?, minutes.parse().ok()?);
        (hours < 24 && minutes < 60).then_some((hours * 60 + minutes) * MINUTE)
    });
    parsed.ok_or_else(|| function_error("inTimeRange", "expected a time of day like 08:30"))
}
