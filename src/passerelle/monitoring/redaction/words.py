"""Words that tell a name from what is none: first names, words that follow a civility, and names that places bear."""

from __future__ import annotations

from typing import Final

_FIRST_NAMES = """
aaron abdel abdelkader abdellah abdou abdoulaye abel abraham adam adama adele adeline adil adrien agathe agnes ahmed aicha aida aissata
aissatou alain alan albert alexandra alexandre alexia alexis alice alicia aline alix alma amadou amandine ambre amelia amelie amina
aminata amine amir anais anastasia andre andrea andree angele angelina angelique anissa anita anna annabelle anne annick annie anouk
anthony antoine antonio antony apolline arlette armand arnaud arthur assia astrid aubin audrey augustin aurelia aurelie aurelien aurore
awa axel axelle ayoub aziz bakary baptiste barbara bastien baya beatrice benedicte benjamin benoit bernadette bernard berthe bertrand
bilal boris boubacar brahim brice brigitte bruno camelia camille capucine carine carla carlos carmen carole caroline catherine cecile
cedric celeste celia celine chantal charles charlie charline charlotte cheikh chloe christelle christian christiane christine christophe
claire clara clarisse claude claudette claudine clemence clement clementine colette coline constance coralie corentin corinne cyprien
cyril cyrille damien daniel daniele danielle david deborah delphine denis denise diana diane didier dimitri djamel djibril dominique
driss dylan edith edmond edouard elena eleonore eliane elias elie eliott elisa elisabeth elise ella elodie eloise elsa emeline emilie
emilien emma emmanuel emmanuelle enzo eric erwan esteban estelle esther etienne eugenie eva evan eve evelyne fabien fabienne fabrice
fadila fanny fanta farah farid farida fatiha fatima fatimata fatma fatou fatoumata felicie felix ferdinand fernand fernande fiona flavie
flora florence florent florian florine francesca francine franck francois francoise frederic frederique gabin gabriel gabrielle gael
gaelle gaetan gaspard gaston gautier genevieve geoffrey georges georgette gerald geraldine gerard germaine ghislaine gilbert gilberte
gilles gisele giulia gladys gregoire gregory guillaume gustave guy gwenaelle habib hakim halima hamid hamza hanna hannah hassan hector
helena helene heloise henri henriette herve hicham hippolyte hortense houda hubert hugo hugues ibrahim ibrahima idriss ilan ilyes imane
imen ines ingrid irene iris isaac isabelle ismael issa ivan jacqueline jacques jade jalil jamal jamel jamila jean jeanne jeannine
jennifer jeremie jeremy jerome jessica joachim joan joanna joao jocelyne joel joelle johan johanna john jonas jonathan jordan jose
joseph josephine josette josiane joyce juan judith jules julia julian juliana julie julien juliette justine kadiatou kamel karim karima
karine karl katia kelly kenza kevin khadidja khadija khaled khalid killian kim laetitia laila lamia lana lara laura laure laurence
laurene laurent laurie lea leandre leila lena leo leon leonard leonie leontine leopold leslie leyla lila lilia lilian liliane lilou lina
linda line lionel lisa lise livia loan loic lola lorenzo lou louane louis louisa louise louna luc luca lucas lucette lucie lucien
lucienne ludivine ludovic luis luna lydia lydie lylou mael maelle maelys maeva magali mahamadou maia malik malika mamadou manon manuel
manuela marc marceau marcel marcelle margaux margot marguerite maria mariam mariama marianne marie marielle marilyne marina marine mario
marion marius marthe martial martin martine maryam maryse mateo mathias mathieu mathilde mathis mathys matteo matthieu maud maurice max
maxence maxime maxine maya medhi mehdi melanie melina melissa mia michael michel michele micheline mickael mila mireille mohamed
mohammed moise monique morgane mouna mounir mourad moussa moustapha mustapha myriam nabil nadege nadia nadine naim naima nassim natacha
nathalie nathan nathanael nelly nicolas nicole nina noa noah noam noe noel noelle noemie nora norah nour noura odette odile olga olivia
olivier omar ophelie oscar othmane oumar oumou ousmane pablo pascal pascale patrice patricia patrick paul paula paulette pauline pedro
perrine philippe philomene pierrette pierrick quentin rabah rachel rachid rachida raoul raphael raphaelle raymond raymonde rebecca reda
regine regis remi remy renaud rene renee riad richard rita robert robin rodolphe rodrigue roger roland romain romane romeo romuald ronan
rosalie roxane ruben sabine sabrina sacha safia said saida salah salim salima salma salome samantha samia samir samira samuel samy
sandra sandrine sara sarah sasha sebastien selim selma serge severine sidonie sihem simon simone sixtine soan sofia sofiane soizic solal
solange solene sonia sophia sophie soraya souad soukaina stella stephane stephanie steven sully suzanne sylvain sylvaine sylvette sylvia
sylviane sylvie tanguy tania tarik tatiana teddy teo tessa thea theo theodore theophile theresa therese thibaud thibault thierry thomas
tiago tidiane timeo timothee titouan tom tony tristan ugo ulysse valentin valentine valerie vanessa vera veronique victoire victor
victoria vincent violette virginie viviane vivien wafa walid wassim wendy wilfried william xavier yacine yael yanis yann yannick yasmina
yasmine yassine yoan yoann yohan yolande youcef younes youssef youssouf yves yvette yvon yvonne zacharie zahra zakaria zara zelie zineb
zoe zohra zoubida
"""
#: Frequent first names in France, without accents; none that is also a frequent French word ("rose", "france", "ange", "prudence").
FIRST_NAMES: Final = frozenset(_FIRST_NAMES.split())

_COMMON_WORDS = """
a absent absente acariatre accueil adjoint adjointe administration aeroport agent agente agents agreable agressif agressive ai aide
aimable aime ainsi airparif alors ambassadeur ameli an android animateur animatrice ans aout apple apres arrive arrivee as ascenseur
assez association asvp atsem attend au aucun aucune aujourd aussi autre aux avait avant avec avez avocat avocate avoir avons avril
batonnier beaucoup bien bon bonjour bonne bonnes bonsoir bravo c ca caf caissier caissiere cantine car carrefour ce ce1 ce2 cela cerfa
ces cet cette chaque chauffeur chef cher chere chez ci citoyen citoyenne civil cm1 cm2 cnil collectif comme comment commissaire
competent competente concierge conge conseiller conseillere contre contribuable cordialement courage cp cpam creche crous d dans dasco
de decembre dedans dehors deja demande depuis depute deputee dernier derniere derriere des desagreable deux devant dgfip dimanche
directeur directrice dit dois dont dormir du dvd ecole edf elle elles elu elue emploi en encore enfin enigme ensuite entre equipe
espaces est et etait etat ete etes etre euro euros facebook facteur factrice fait famille faut fevrier fin font formation france gardien
gardienne general generale gentil gentille gentiment google grand grande greffier gros guichet h habitant habitante habitat handicap
handicape handicapee hier hors ici il ils impots intendant intendante internet iphone j jamais janvier je jeudi joint jointe jour
journee jours juge juillet juin jusqu l la le les leur leurs locataire locataires lors lui lundi m ma madame mademoiselle mai maintenant
maire mairie mais malade maman mardi mars me medecin merci mercredi mes mesdames messieurs metro ministre moi moins mois mon monoprix
monsieur municipal municipale n navigo ne ni noel non nos notre nous nouveau nouvelle novembre octobre on ont ou oui papa paques par
parce parent parents paris parisien parisienne parisiens pas pause pendant petit petite peu peut plage plages plus plusieurs pmi pmr
pole police poste pour pourquoi pourriez pouvez pouvoir prefet prefete premier premiere prenom pres president presidente presque
principal principale prm prochain procureur professeur proprete propriete proviseur proviseure public publique puis puisque pv qu quand
que quel quelle quelqu qui quoi ramadan ratp recteur rectrice rer responsable retraite retraitee rien riverain riveraine riverains s sa
salut salutations samedi sans sauf se secretaire seine senateur senatrice septembre sera service services ses si sinon sncf social
sociale soit son sont souhaite sous stage suis sur syndic syndicat t ta technique techniques tel telle territorial tes toi ton toujours
tous toussaint tout toute toutes tres tresorier trop tu twitter un une usager usagere va vais velib vendredi vers verte verts veut veux
via ville voici voila voirie vont vos votre vous vu wifi y
"""
#: Never a name after a civility, a word for a relative or a greeting.
COMMON_WORDS: Final = frozenset(_COMMON_WORDS.split())

_NAMES_OF_PLACES = """
arago aragon balzac bashung baudelaire beauvoir bert blum bouin brassens brel breton buffon camus carnot cezanne char claudel cocteau
colbert coubertin curie dalida daumesnil delanoe desnos diderot dolto doumer dreyfus dumas duras eboue eluard ferry flaubert foch france
gambetta garnier gaulle gide guesde haussmann hemingway hidalgo hugo jaures joffre kahlo kennedy lafayette lamartine leclerc lurcat
macron malraux mandela matisse michel michelet mitterrand moliere monet moulin mozart nerval onfroy pasteur peguy perec perret piaf
picasso pompidou prevert proust quinet rabelais racine ravel renoir rimbaud rodin rolland rousseau roussel sand sartre schoelcher seurat
signac stendhal toulouse valland vallerin veil verlaine verne vian vilar voltaire wagner weil zay zola
"""
#: Surnames that streets, schools and stations bear.
NAMES_OF_PLACES: Final = frozenset(_NAMES_OF_PLACES.split())
