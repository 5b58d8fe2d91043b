//! The tokens that a Client presents within its session: each costs a signature's check, so at most two of a kind in ten
//! seconds (T32; a renewal brings one of each). Of those that come too early the newest waits for its turn. Pure.

use std::time::{Duration, Instant};

use ringwall_actors::support::Budget;

/// Tokens of one kind within a span.
const TOKENS: (usize, Duration) = (2, Duration::from_secs(10));

/// A token that is to be presented.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token {
    Claims(String),
    Entitlement(String),
}

/// What one websocket may present, and what waits.
#[derive(Debug)]
pub(super) struct Presenting {
    claims: Turn,
    entitlement: Turn,
}

#[derive(Debug)]
struct Turn {
    budget: Budget,
    waiting: Option<String>,
}

impl Presenting {
    pub(super) const fn new() -> Self {
        Self { claims: Turn::new(), entitlement: Turn::new() }
    }

    /// A token came; it is [`Self::due`] at once, or when its turn comes.
    pub(super) fn put(&mut self, token: Token) {
        match token {
            Token::Claims(token) => self.claims.waiting = Some(token),
            Token::Entitlement(token) => self.entitlement.waiting = Some(token),
        }
    }

    /// When [`Self::due`] has something; `None` if nothing waits.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        self.first().map(|turn| turn.budget.next(now))
    }

    /// The token whose turn it is. Claims go first: an entitlement token fits no older ones.
    pub(super) fn due(&mut self, now: Instant) -> Option<Token> {
        if self.claims.waiting.is_some() {
            return self.claims.take(now).map(Token::Claims);
        }
        self.entitlement.take(now).map(Token::Entitlement)
    }

    fn first(&self) -> Option<&Turn> {
        [&self.claims, &self.entitlement].into_iter().find(|turn| turn.waiting.is_some())
    }
}

impl Turn {
    const fn new() -> Self {
        Self { budget: Budget::new(TOKENS.0, TOKENS.1), waiting: None }
    }

    fn take(&mut self, now: Instant) -> Option<String> {
        let has_its_turn = self.waiting.is_some() && self.budget.spend(now);
        has_its_turn.then(|| self.waiting.take()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(text: &str) -> Token {
        Token::Claims(text.to_owned())
    }

    fn entitlement(text: &str) -> Token {
        Token::Entitlement(text.to_owned())
    }

    #[test]
    fn two_tokens_of_a_kind_are_proved_in_ten_seconds_and_of_the_others_the_newest() {
        let (mut presenting, start) = (Presenting::new(), Instant::now());
        for text in ["1", "2"] {
            presenting.put(claims(text));
            assert_eq!(presenting.due(start), Some(claims(text)));
        }
        for text in ["3", "4", "5"] {
            presenting.put(claims(text));
            assert_eq!(presenting.due(start), None);
        }
        let turn = start + Duration::from_secs(10);
        assert_eq!(presenting.next(start), Some(turn));
        assert_eq!(presenting.due(turn - Duration::from_millis(1)), None);
        assert_eq!(presenting.due(turn), Some(claims("5")));
        assert_eq!((presenting.due(turn), presenting.next(turn)), (None, None), "what came between is never looked at");
    }

    #[test]
    fn an_entitlement_token_waits_for_the_claims_that_came_before_it() {
        let (mut presenting, start) = (Presenting::new(), Instant::now());
        for text in ["1", "2"] {
            presenting.put(claims(text));
            presenting.due(start);
        }
        presenting.put(claims("3"));
        presenting.put(entitlement("a"));
        assert_eq!(presenting.due(start), None);
        let turn = presenting.next(start).expect("something waits");
        assert_eq!(presenting.due(turn), Some(claims("3")));
        assert_eq!(presenting.due(turn), Some(entitlement("a")));
    }
}
