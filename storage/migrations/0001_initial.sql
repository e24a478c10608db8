create sequence project_id;
create table project (
    id integer primary key default nextval('project_id'),
    name text not null unique,
    backbone text not null,
    backbone_options text not null,
    created timestamp not null
);

-- One row per distinct picture in the workspace, whichever projects use it.
create table content (
    sha256 text primary key,
    bytes bigint not null,
    format text not null,
    width integer not null,
    height integer not null,
    orientation utinyint not null,
    frames integer not null,
    mode text not null,
    perceptual_hash text,
    notes text[] not null,
    created timestamp not null
);

create sequence image_id;
create table image (
    id bigint primary key default nextval('image_id'),
    project_id integer not null,
    name text not null,
    sha256 text not null,
    state text not null default 'unlabelled',
    split text,
    default_label_id integer,
    revision integer not null default 0,
    added_by text not null,
    added timestamp not null,
    unique (project_id, name),
    unique (project_id, sha256)
);

create table image_alias (
    project_id integer not null,
    name text not null,
    image_id bigint not null,
    added timestamp not null,
    primary key (project_id, name)
);

create sequence label_id;
create table label (
    id integer primary key default nextval('label_id'),
    project_id integer not null,
    name text not null,
    created timestamp not null,
    unique (project_id, name)
);

create sequence annotation_order;
create table annotation (
    image_id bigint not null,
    label_id integer not null,
    source text not null,
    confidence double,
    author text not null,
    created timestamp not null,
    position bigint not null default nextval('annotation_order'),
    primary key (image_id, label_id)
);

create sequence image_event_id;
create table image_event (
    id bigint primary key default nextval('image_event_id'),
    image_id bigint not null,
    kind text not null,
    value text,
    previous text,
    source text not null,
    author text not null,
    happened timestamp not null
);

create sequence run_id;
create sequence model_id;
create table run (
    id integer primary key default nextval('run_id'),
    project_id integer not null,
    kind text not null,
    name text not null,
    model_id integer,
    status text not null,
    message text,
    created timestamp not null,
    finished timestamp
);

create table model (
    id integer primary key,
    project_id integer not null,
    run_id integer not null,
    name text not null,
    task text not null,
    trainer text not null,
    trainer_options text not null,
    trainer_distribution text not null,
    trainer_version text not null,
    backbone text not null,
    backbone_options text not null,
    backbone_distribution text not null,
    fingerprint text not null,
    labels text[] not null,
    train_seconds double not null,
    embed_seconds double not null,
    ended text not null,
    notes text[] not null,
    created timestamp not null,
    unique (project_id, name)
);

create table checkpoint (
    model_id integer not null,
    name text not null,
    step integer not null,
    seconds double not null,
    primary key (model_id, name)
);

create table curve_point (
    model_id integer not null,
    step integer not null,
    seconds double not null,
    split text not null,
    accuracy double,
    cross_entropy double
);

create table threshold (
    model_id integer not null,
    checkpoint text not null,
    label text not null,
    value double not null,
    origin text not null,
    primary key (model_id, checkpoint, label)
);

create table evaluation (
    model_id integer not null,
    checkpoint text not null,
    split text not null,
    report text not null,
    primary key (model_id, checkpoint, split)
);

create sequence prediction_id;
create table prediction (
    id bigint primary key default nextval('prediction_id'),
    run_id integer not null,
    model_id integer not null,
    checkpoint text not null,
    image_id bigint,
    image_name text not null,
    sha256 text not null,
    split text,
    truth text[],
    predicted text[] not null,
    logits float[] not null,
    scores float[] not null,
    created timestamp not null
);
