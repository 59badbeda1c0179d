#!/usr/bin/perl
# SpamAssassin's relay metadata through its own API, for bench/relays.py and bench/evidence.py.
#
# Reads lines "name TAB raw bytes in base64 TAB trusted networks with blanks between" and writes for each the JSON
# {"name", "relays": [{"ip", "by", "helo", "rdns", "auth"}] untrusted ones, topmost first, "trusted": likewise,
# "unparseable": how many Received fields it could not read}.
# With --time it reads all messages first, then asks for each one's metadata in one process, set up as Debian ships
# it (rules and plugins, no network), and writes {"messages", "seconds" (of processor)} alone.
use strict;
use warnings;
use JSON::PP;
use MIME::Base64;
use Mail::SpamAssassin;
use Mail::SpamAssassin::NetSet;
use Mail::SpamAssassin::PerMsgStatus;

my $timed = grep { $_ eq '--time' } @ARGV;
my %bare = (config_text => "clear_originating_ip_headers\nutil_rb_tld com net org\ntrusted_networks 127.0.0.0/8\n");
my $assassin = Mail::SpamAssassin->new({
    ($timed ? () : %bare),
    dont_copy_prefs => 1, local_tests_only => 1,
    userprefs_filename => '/dev/null', username => 'nobody', home_dir_for_helpers => '/nonexistent',
});
$assassin->init($timed ? 1 : 0);

# A whole new configuration for every set of networks would take minutes; this is what the setting is read into.
my %sets;
sub trusting {
    my (@networks) = @_;
    $assassin->{conf}{trusted_networks} = $sets{"@networks"} //= do {
        my $set = Mail::SpamAssassin::NetSet->new('trusted_networks');
        $set->add_cidr(@networks);
        $set;
    };
}

sub relays {
    my ($raw) = @_;
    my $message = $assassin->parse($raw, 1);
    my $status = Mail::SpamAssassin::PerMsgStatus->new($assassin, $message);
    $message->extract_message_metadata($status);
    my %found = (unparseable => $message->{metadata}{num_relays_unparseable} + 0);
    for my $kind (['relays', 'X-Spam-Relays-Untrusted'], ['trusted', 'X-Spam-Relays-Trusted']) {
        my $text = $message->get_metadata($kind->[1]) // '';
        $found{ $kind->[0] } = [
            map { my %one = /\b(ip|by|helo|rdns|auth)=(\S*)/g; \%one } $text =~ /\[ (ip=.*?) \]/g
        ];
    }
    $status->finish();
    $message->finish();
    return \%found;
}

sub metadata {
    my ($raw) = @_;
    my $message = $assassin->parse($raw, 0);
    my $status = Mail::SpamAssassin::PerMsgStatus->new($assassin, $message);
    $status->extract_message_metadata();
    $status->finish();
    $message->finish();
}

my $json = JSON::PP->new->latin1->allow_nonref->allow_blessed;
my @waiting;
while (my $line = <STDIN>) {
    chomp $line;
    my ($name, $coded, $trusted) = split /\t/, $line;
    my $raw = decode_base64($coded);
    if ($timed) {
        push @waiting, $raw;
        next;
    }
    trusting(split / /, $trusted);
    my $found = relays($raw);
    $found->{name} = $name;
    print $json->encode($found), "\n";
}
if ($timed) {
    my @before = times;
    metadata($_) for @waiting;
    my @after = times;
    print $json->encode({ messages => scalar @waiting, seconds => $after[0] + $after[1] - $before[0] - $before[1] }), "\n";
}
