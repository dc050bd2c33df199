/* Made from rules/alarms/life.py by `python -m megawatch.reference`: change the code instead.
 *
 * An alarm's whole way: judged, kept, told, received; with crashes, holds and acknowledgements at any moment.
 * `make spin` checks it; megawatch/reference_model.py says what stands for what.
 */

#define EPISODES 2
#define WINDOW 2 /* entries that are judged again after a crash, at most */
#ifndef LAST
#define LAST EPISODES /* episodes that there are */
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef FAULTS
#define FAULTS 1
#endif

/* The table ---------------------------------------------------------------------------- */

#define NORMAL 0
#define PENDING 1
#define ACTIVE 2
#define RETURNING 3
#define UNSEEN 4
#define OVER 5 /* of a row: the alarm has returned */
#define NOTHING 0
#define OPENS 1
#define WORSENS 2
#define RETURNS 3
#define BREACH 0
#define CLEAR 1
#define DEADBAND 2
#define UNKNOWN 3
#define ON_DELAY_OVER 4
#define OFF_DELAY_OVER 5
#define SEVERITY_UP 6
#define SEVERITY_DOWN 7
#define CARRIES 8
#define CARRIES_UNTOLD 9
#define GONE 10
#define CLOCK_SET 11
#define HIDDEN 12
#define CAUSE_OVER 13
#define SHELVE 14
#define UNSHELVE 15
#define SUPPRESS 16
#define UNSUPPRESS 17
#define REMOVE 18
#define RESTORE 19
#define ACKNOWLEDGE 20
#define REPEAT 21
#define RESTART 22
#define OPENED 0
#define WORSENED 1
#define RETURNED 2
#define NONE 0
#define WAITING 1
#define DELIVERED 2

/* What is judged of a condition; `happens` says what becomes of the alarm. */
inline judge(what, under, number, event) {
    happens = NOTHING;
    if
    :: what == NORMAL && event == BREACH -> what = PENDING
    :: what == NORMAL && event == SEVERITY_UP -> what = PENDING
    :: what == NORMAL && event == SEVERITY_DOWN -> what = PENDING
    :: what == PENDING && event == CLEAR -> what = NORMAL
    :: what == PENDING && event == DEADBAND -> what = NORMAL
    :: what == PENDING && event == GONE -> what = NORMAL
    :: what == PENDING && event == CLOCK_SET -> what = NORMAL
    :: what == PENDING && event == ON_DELAY_OVER -> what = ACTIVE; happens = OPENS
    :: what == ACTIVE && event == CLEAR -> what = RETURNING
    :: what == RETURNING && event == UNKNOWN -> what = UNSEEN
    :: what == UNSEEN && event == CLEAR -> what = RETURNING
    :: (what == RETURNING || what == UNSEEN) && event == BREACH -> what = ACTIVE
    :: (what == RETURNING || what == UNSEEN) && event == SEVERITY_DOWN -> what = ACTIVE
    :: (what == RETURNING || what == UNSEEN) && event == DEADBAND -> what = ACTIVE
    :: (what == RETURNING || what == UNSEEN) && event == CLOCK_SET -> what = ACTIVE
    :: (what == ACTIVE || what == RETURNING || what == UNSEEN) && event == SEVERITY_UP -> what = ACTIVE; happens = WORSENS
    :: what == ACTIVE && event == CARRIES -> what = ACTIVE; happens = WORSENS
    :: what == RETURNING && event == CARRIES -> what = RETURNING; happens = WORSENS
    :: what == UNSEEN && event == CARRIES -> what = UNSEEN; happens = WORSENS
    :: what == RETURNING && event == OFF_DELAY_OVER -> what = NORMAL; happens = RETURNS
    :: (what == ACTIVE || what == RETURNING || what == UNSEEN) && event == GONE -> what = NORMAL; happens = RETURNS
    :: else
    fi;
    if
    :: event == HIDDEN -> under = true
    :: event == CAUSE_OVER -> under = false
    :: else
    fi;
    if
    :: happens == OPENS -> number++
    :: else
    fi
}

/* What is told of an episode at an event, unless something holds it back. */
inline tell(e, event) {
    if
    :: (row[e] == ACTIVE || row[e] == RETURNING || row[e] == UNSEEN) && event == CARRIES_UNTOLD && !covered[e] -> put(e, WORSENED, event); told[e] = true; graver[e] = false
    :: (row[e] == ACTIVE || row[e] == RETURNING || row[e] == UNSEEN) && !told[e] && !covered[e] && !held -> put(e, OPENED, event); told[e] = true; graver[e] = false
    :: (row[e] == ACTIVE || row[e] == RETURNING || row[e] == UNSEEN) && told[e] && graver[e] && !covered[e] && !held -> put(e, WORSENED, event); graver[e] = false
    :: row[e] == OVER && told[e] && happens == RETURNS -> put(e, RETURNED, event)
    :: else
    fi
}

/* What is kept -------------------------------------------------------------------------- */

/* Of the engine, as it runs, as its snapshot has it, and as one would be that never crashed. */
byte condition, saved_condition, true_condition;
bool under_cause, saved_under_cause, true_under_cause;
byte episode, saved_episode, true_episode;

/* The entries since the snapshot, and where each of them leads in truth. */
byte entry[WINDOW], leads[WINDOW];
byte entries, place;
byte happens;

/* The ledger: a row and three notices for each episode, what is held back, what is acknowledged. */
byte row[EPISODES];
bool told[EPISODES], graver[EPISODES], acknowledged[EPISODES], escalated[EPISODES];
bool covered[EPISODES]; /* hidden by the cause beside which it opened */
bool held;
#if LAST < EPISODES
bool carries[EPISODES]; /* hides what is graver than it is by itself */
bool carried_held; /* and people hold that back */
#define CARRIED(e, event) (carries[e] && !carried_held)
#else
#define CARRIED(e, event) (event == CARRIES)
#endif
byte notice[EPISODES * 3];
#ifdef ACKNOWLEDGING
byte kept; /* entries since the snapshot of which the ledger has the changes */
bool in_hand[EPISODES]; /* acknowledged since it worsened last, in truth */
#endif

/* The outbox: what is on its way, and whether it was accepted; what was given up and comes late. */
byte flying, late;
bool accepted;
bool seen[EPISODES * 3];
byte crashes, faults;

inline put(e, what, event) {
    /* What people hold back is not told, but for what it hides, and but for its end. */
    assert(!held || event == CARRIES_UNTOLD || what == RETURNED);
    if
    :: notice[(e) * 3 + what] == NONE -> notice[(e) * 3 + what] = WAITING
    :: else /* the key is there already */
    fi
}

/* What stands was told, or there is a reason why not; what was told has its notice, and its end one too. */
inline check(e) {
    assert(row[e] < ACTIVE || row[e] == OVER || told[e] || covered[e] || held);
    assert(told[e] == (notice[(e) * 3 + OPENED] != NONE || notice[(e) * 3 + WORSENED] != NONE));
    assert((told[e] && row[e] == OVER) == (notice[(e) * 3 + RETURNED] != NONE));
    assert(!told[e] || !graver[e] || held);
    assert(told[e] || !escalated[e]);
#if LAST < EPISODES
    /* Who holds back what is mild has not held back what it hides. */
    assert(!CARRIED(e, 0) || covered[e] || (told[e] && !graver[e]))
#endif
}

/* Tells what nobody holds back of what an episode hides, where people hold that episode back. */
inline tell_carried(e, event) {
    if
    :: CARRIED(e, event) && held && (!told[e] || graver[e]) -> tell(e, CARRIES_UNTOLD)
#ifdef ACKNOWLEDGING
        ;
        if
        :: !covered[e] -> acknowledged[e] = false; in_hand[e] = false; escalated[e] = false
        :: else
        fi
#endif
    :: else
    fi
}

/* Saves what an entry brought, in one transaction: a row that is over stays over. */
inline save(e, event) {
#ifdef ACKNOWLEDGING
    /* An acknowledgement ends where the alarm worsens; what is judged again ends none that came later. */
    if
    :: happens == WORSENS && row[e] != OVER && place >= kept -> in_hand[e] = false
    :: else
    fi;
    if
    :: happens == WORSENS && row[e] != OVER && place >= kept -> acknowledged[e] = false; escalated[e] = false
    :: else
    fi;
    assert(acknowledged[e] == in_hand[e]);
#endif
    if
    :: happens == OPENS -> covered[e] = under_cause
    :: happens != OPENS && condition == ACTIVE -> covered[e] = covered[e] && under_cause
    :: else
    fi;
    if
    :: row[e] == OVER
    :: row[e] != OVER && happens == RETURNS -> row[e] = OVER
    :: row[e] != OVER && happens != RETURNS && condition >= ACTIVE -> row[e] = condition
    :: else
    fi;
    if
    :: happens == WORSENS && row[e] != OVER -> graver[e] = told[e] && !covered[e]
    :: else
    fi;
    tell(e, event);
#if LAST < EPISODES
    if
    :: row[e] == OVER -> carries[e] = false
    :: row[e] != OVER && event == CARRIES -> carries[e] = true
    :: else
    fi;
#endif
    tell_carried(e, event);
    assert(!CARRIED(e, event) || row[e] == OVER || covered[e] || (told[e] && !graver[e]));
    if
    :: row[e] == OVER -> graver[e] = false; covered[e] = false
    :: else
    fi;
    check(e)
}

/* Where a judge is, as one number. */
#define WHERE(what, under, number) ((number) * 16 + (what) * 2 + (under))

/* After the last crash nothing is judged again, and what would be needed for that makes no difference. */
inline forget() {
    if
    :: crashes == CRASHES -> saved_condition = NORMAL; saved_under_cause = false; saved_episode = 0
    :: else
    fi
}

inline receive(key) {
    /* A key that is known is the same message. Nothing of an alarm comes before its opening, unless that was
       held back and it is told first for what it hides. */
    assert((key) % 3 == OPENED || seen[(key) - (key) % 3] || notice[(key) - (key) % 3] == NONE);
    assert((key) % 3 != RETURNED || seen[(key) - RETURNED] || seen[(key) - RETURNED + WORSENED]);
    seen[key] = true
}

/* Who does what ------------------------------------------------------------------------- */

active proctype monitor() {
    do
    /* Something is heard, and is in the journal. */
    :: atomic { entries < WINDOW ->
        if
        :: (true_condition == RETURNING || true_condition == UNSEEN) || (true_condition == NORMAL && true_episode < LAST) -> entry[entries] = BREACH
        :: (true_condition == ACTIVE || true_condition == RETURNING || true_condition == UNSEEN) -> entry[entries] = SEVERITY_UP
        :: (true_condition == PENDING || true_condition == ACTIVE || true_condition == UNSEEN) -> entry[entries] = CLEAR
        :: (true_condition == ACTIVE || true_condition == UNSEEN) -> entry[entries] = GONE
        :: true_condition == PENDING -> entry[entries] = ON_DELAY_OVER
        :: true_condition == RETURNING -> entry[entries] = UNKNOWN
        :: (true_condition == ACTIVE || true_condition == RETURNING || true_condition == UNSEEN) -> entry[entries] = CARRIES
        :: true_condition == RETURNING -> entry[entries] = OFF_DELAY_OVER
        :: !true_under_cause -> entry[entries] = HIDDEN
        :: true_under_cause -> entry[entries] = CAUSE_OVER
        fi;
        judge(true_condition, true_under_cause, true_episode, entry[entries]);
        leads[entries] = WHERE(true_condition, true_under_cause, true_episode);
        entries++;
        happens = NOTHING
       }
    /* The next entry is judged, and what it brings is saved. A crash in between is one before. */
    :: d_step { place < entries ->
        judge(condition, under_cause, episode, entry[place]);
        /* However often it is judged: one key an episode, and the same history. */
        assert(WHERE(condition, under_cause, episode) == leads[place]);
        if
        :: episode > 0 -> save(episode - 1, entry[place])
        :: else
        fi;
        happens = NOTHING;
        if
        :: crashes == CRASHES -> entry[place] = 0; leads[place] = 0
        :: else
        fi;
        place++;
#ifdef ACKNOWLEDGING
        if
        :: place > kept -> kept = place
        :: else
        fi
#endif
       }
    :: d_step { entries > 0 && place == entries ->
        saved_condition = condition;
        saved_under_cause = under_cause;
        saved_episode = episode;
        forget();
        entry[0] = 0; entry[1] = 0; leads[0] = 0; leads[1] = 0;
        entries = 0;
#ifdef ACKNOWLEDGING
        kept = 0;
#endif
        place = 0
       }
    :: d_step { crashes < CRASHES ->
        crashes++;
        condition = saved_condition;
        under_cause = saved_under_cause;
        episode = saved_episode;
        place = 0;
        flying = 0;
        accepted = false;
        forget()
       }
    od
}

active proctype people() {
    do
    :: d_step { held = !held;
        tell(0, UNSHELVE); tell_carried(0, UNSHELVE); check(0);
        tell(1, UNSHELVE); tell_carried(1, UNSHELVE); check(1)
       }
#if LAST < EPISODES
    :: d_step { carried_held = !carried_held;
        tell_carried(0, UNSHELVE); check(0);
        tell_carried(1, UNSHELVE); check(1)
       }
#endif
#ifdef ACKNOWLEDGING
    :: d_step { (row[0] == ACTIVE || row[0] == RETURNING || row[0] == UNSEEN || row[0] == OVER) && !acknowledged[0] -> acknowledged[0] = true; in_hand[0] = true }
    :: d_step { (row[1] == ACTIVE || row[1] == RETURNING || row[1] == UNSEEN || row[1] == OVER) && !acknowledged[1] -> acknowledged[1] = true; in_hand[1] = true }
#endif
    od
}

#ifdef ACKNOWLEDGING
/* What nobody acknowledges in time is told on the next route, once. */
active proctype timer() {
    do
    :: d_step { (row[0] == ACTIVE || row[0] == RETURNING || row[0] == UNSEEN) && told[0] && !acknowledged[0] && !held && !escalated[0] -> escalated[0] = true; check(0) }
    :: d_step { (row[1] == ACTIVE || row[1] == RETURNING || row[1] == UNSEEN) && told[1] && !acknowledged[1] && !held && !escalated[1] -> escalated[1] = true; check(1) }
    od
}
#endif

active proctype outbox() {
    do
    /* The first of what waits of an alarm; an attempt is made anew after a crash. */
    :: d_step { flying == 0 && notice[0] == WAITING -> flying = 1 } /* opened */
    :: d_step { flying == 0 && notice[1] == WAITING && notice[0] != WAITING -> flying = 2 } /* worsened */
    :: d_step { flying == 0 && notice[2] == WAITING && notice[0] != WAITING && notice[1] != WAITING -> flying = 3 } /* returned */
    :: d_step { flying == 0 && notice[3] == WAITING -> flying = 4 } /* opened */
    :: d_step { flying == 0 && notice[4] == WAITING && notice[3] != WAITING -> flying = 5 } /* worsened */
    :: d_step { flying == 0 && notice[5] == WAITING && notice[3] != WAITING && notice[4] != WAITING -> flying = 6 } /* returned */
    :: d_step { flying > 0 && !accepted -> receive(flying - 1); accepted = true }
    :: d_step { flying > 0 && accepted -> notice[flying - 1] = DELIVERED; flying = 0; accepted = false }
    /* It was not accepted; it was, and the answer is lost; it comes late, after it was given up. */
    :: d_step { flying > 0 && faults < FAULTS -> faults++; flying = 0; accepted = false }
    :: d_step { flying > 0 && !accepted && faults < FAULTS && late == 0 ->
        faults++; late = flying; flying = 0
       }
    od
}

active proctype network() {
    do
    :: d_step { late > 0 -> receive(late - 1); late = 0 }
    od
}

/* Every end of a told alarm is told, and so is that it opened or worsened: in the end. */
ltl end_1_is_told { [] ((row[0] == OVER && told[0]) -> <> seen[2]) }
ltl opening_1_is_told { [] (told[0] -> <> (seen[0] || seen[1])) }
ltl worsening_1_is_told { [] (notice[1] != NONE -> <> seen[1]) }
ltl end_2_is_told { [] ((row[1] == OVER && told[1]) -> <> seen[5]) }
ltl opening_2_is_told { [] (told[1] -> <> (seen[3] || seen[4])) }
ltl worsening_2_is_told { [] (notice[4] != NONE -> <> seen[4]) }
